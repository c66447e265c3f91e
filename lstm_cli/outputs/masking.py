"""Which recurrent layers a mask reaches, as the graph of the file says.

Source: keras/src/layers (``supports_masking``, ``compute_mask``); see also Keras's guide
"Understanding masking and padding".
"""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Argument, Call, Layer, Model, Operation, Recurrent, Reference, Unsupported

KEEPING = frozenset(
    """
    activation add additive_attention attention average batch_normalization concatenate dense elu
    group identity layer_normalization leaky_relu maximum minimum multiply normalization prelu relu
    rescaling softmax subtract thresholded_relu time_distributed_model
    """.split()
)
"""Operations that hand on the mask they get; every other one ends it."""


def is_masked(model: Model, layer: Layer) -> bool:
    """Whether a mask of the model's own reaches ``layer`` in any of its calls."""
    return any(_reached(model, model.calls[number]) for number in model.calls_of(layer))


def _reached(model: Model, call: Call) -> bool:
    if call.mask is not None:
        return True
    layer, recurrent = call.layer, call.layer.recurrent
    if layer.distributed and layer.wrapper_mask == "unread":
        return False
    if recurrent and call.initial_state and not recurrent.mask_beside_states:
        return False
    sources = _sources(model, call.arguments[:1])
    return any(_carries(model, source, layer.distributed) for source in sources)


def _carries(model: Model, call: Call, distributed: int) -> bool:
    """Whether the output of ``call`` has a mask beside it.

    One that reaches into a TimeDistributed begins in one: others have too few axes.
    """
    waiting, seen = [call], set[int]()
    while waiting:
        call = waiting.pop()
        if id(call) in seen:
            continue
        seen.add(id(call))
        if _begins_mask(call) and call.layer.distributed >= distributed:
            return True
        if _keeps_mask(call):
            waiting += _sources(model, call.arguments)
    return False


def _begins_mask(call: Call) -> bool:
    operation = call.layer.operation
    if not isinstance(operation, Operation):
        return call.mask is not None and isinstance(operation, Recurrent)
    return operation.name == "masking" or bool(operation.settings.get("mask_zero"))


def _keeps_mask(call: Call) -> bool:
    operation = call.layer.operation
    if call.layer.wrapper_mask and not isinstance(operation, Unsupported):
        return True
    if isinstance(operation, Recurrent):
        return operation.return_sequences
    if isinstance(operation, Operation):
        return operation.name in KEEPING and not operation.settings.get("drop_mask")
    return False


def _sources(model: Model, arguments: tuple[Argument, ...]) -> Iterator[Call]:
    for argument in arguments:
        if isinstance(argument, Reference):
            yield model.calls[argument.call]
