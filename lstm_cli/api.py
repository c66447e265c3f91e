"""What a model gives: load it, look at it, run it, trace its LSTM layers.

Letters: B sequences, T time steps, F input features, U units.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from os import PathLike
from typing import Any, Literal, overload

from .engine import session as engine_session
from .engine.dependencies import blocked_layers, unsupported_layers
from .engine.selection import weight_arrays
from .engine.shapes import with_output_shapes
from .engine.states import StateLike
from .engine.tracing import DEFAULT_TENSORS
from .formats import load as load_file
from .formats.options import Options
from .model import Array, Model
from .peers import LIBRARIES
from .traces import Trace, Traces


class Session(engine_session.Session):
    __doc__ = engine_session.Session.__doc__
    libraries = LIBRARIES

    def given(self, x: Any) -> dict[str, Array]:
        """The inputs of a run by name, with their batch axes and in their dtypes."""
        return {entry.name: array for entry, array in self._arrays(x, self.model.inputs)}


def load(
    path: str | PathLike[str],
    *,
    architecture: str | PathLike[str] | None = None,
    recurrent_activation: str | None = None,
    activation: str | None = None,
    hard_sigmoid: Literal["0.2", "1/6"] | None = None,
    override: bool = False,
    treat_as_lstm: str | Sequence[str] = (),
    gate_order: str | None = None,
) -> Model:
    """Read a saved model, without the framework that wrote it and without running anything in it.

    Args:
        path: a file or directory; what it is, is decided by its content.
        architecture: a JSON architecture (``model.to_json()``), for a file of weights alone.
        recurrent_activation, activation: names, for files that cannot say.
        hard_sigmoid: which definition to use: ``0.2`` (x·0.2 + 0.5) or ``1/6`` (x/6 + 0.5).
        override: let these three win over what the file does say.
        treat_as_lstm: class names of custom layers that compute as an LSTM.
        gate_order: for an .npz whose names do not say it: ``ifco``, ``iofc``, ``icfo`` …

    Returns:
        The model: its layers, how they are connected, who wrote it, what was assumed.

    Raises:
        ModelFileError: if no model can be read from the file; UnknownFormatError if no reader
            knows its content.
        UsageError: if the options do not go with the file.
    """
    custom = (treat_as_lstm,) if isinstance(treat_as_lstm, str) else tuple(treat_as_lstm)
    options = Options(
        architecture=None if architecture is None else str(architecture),
        recurrent_activation=recurrent_activation,
        activation=activation,
        hard_sigmoid=hard_sigmoid,
        override=override,
        treat_as_lstm=custom,
        gate_order=gate_order,
    )
    return load_file(str(path), options)


def inspect(model: Model) -> dict[str, Any]:
    """The facts of a model, ready for JSON: who wrote it, its layers, what was assumed.

    Returns:
        ``path format written_by inputs outputs layers assumptions unsupported``; shapes are lists
        with None for an open axis; one entry a layer, in the file's order.
    """
    from .outputs.facts import Blocked, model_facts

    blocked = [
        Blocked(layer.address, reason, tuple(blocked_layers(model, layer)))
        for layer, reason in unsupported_layers(model)
    ]
    return model_facts(with_output_shapes(model), blocked)


def weights(model: Model, layer: str | Sequence[str] | None = None) -> dict[str, Array]:
    """The arrays of LSTM layers, columns in the gate order i f g o.

    Args:
        layer: address of a layer, or several; None for every LSTM layer.

    Returns:
        ``kernel`` (F, 4U), ``recurrent_kernel`` (U, 4U) and, where there is one, ``bias`` (4U,);
        ``forward/kernel`` for parts, with the layer's address in front where there are several.

    Raises:
        NoSuchNameError: if there is no such layer.
        UnsupportedFeatureError: if it is not an LSTM layer.
    """
    return weight_arrays(model, [layer] if isinstance(layer, str) else list(layer or []))


@overload
def run(
    model: Model,
    x: Any,
    *,
    named: Literal[True],
    layer: str | None = ...,
    return_sequences: bool | None = ...,
    return_state: bool | None = ...,
    direct: bool = ...,
    mask: Array | None = ...,
    lengths: Array | None = ...,
    initial_state: StateLike | None = ...,
    dtype: str | None = ...,
) -> dict[str, Array]: ...


@overload
def run(
    model: Model,
    x: Any,
    *,
    named: Literal[False] = ...,
    layer: str | None = ...,
    return_sequences: bool | None = ...,
    return_state: bool | None = ...,
    direct: bool = ...,
    mask: Array | None = ...,
    lengths: Array | None = ...,
    initial_state: StateLike | None = ...,
    dtype: str | None = ...,
) -> Any: ...


def run(
    model: Model,
    x: Any,
    *,
    layer: str | None = None,
    return_sequences: bool | None = None,
    return_state: bool | None = None,
    direct: bool = False,
    mask: Array | None = None,
    lengths: Array | None = None,
    initial_state: StateLike | None = None,
    dtype: str | None = None,
    named: bool = False,
) -> Any:
    """What the framework would return for ``x``: the model's output, or one layer's.

    Args:
        model: from ``load``.
        x: the model's input, in its own shape or that without the batch axis; for several inputs
            a list in the file's order, or a mapping by name. With ``direct``, what the layer
            receives: (T, F) or (B, T, F).
        layer: address of a layer; None for the model's own output.
        return_sequences, return_state: for a recurrent layer; None for as saved.
        direct: ``x`` is what the layer receives; the layers before it do not run.
        mask: (T,) or (B, T), true for a real step.
        lengths: (B,), how many steps each sequence has; beyond them there is nothing.
        initial_state: a ``State`` with arrays (B, U), a number, or arrays by name: ``h``,
            ``forward/c``, ``lstm_1/h``.
        dtype: ``float32`` or ``float64`` for everything; None for what the file says.
        named: return a dictionary by name.

    Returns:
        One array with a batch axis; a tuple of several in the framework's order; or, ``named``, a
        dictionary: ``output``, ``state_h``, ``forward_c`` …

    Raises:
        UnsupportedFeatureError: naming everything needed that is not computed.
        InputError: if ``x`` or a state does not fit.
        NoSuchNameError: if there is no such layer.
    """
    session = Session(model, layer, direct=direct, dtype=dtype)
    outputs = session.run(
        x,
        mask=mask,
        lengths=lengths,
        initial_state=initial_state,
        return_sequences=return_sequences,
        return_state=return_state,
    )
    if named:
        return outputs
    arrays = tuple(outputs.values())
    return arrays[0] if len(arrays) == 1 else arrays


def trace(
    model: Model,
    x: Any,
    *,
    layer: str | Sequence[str] | None = None,
    direct: bool = False,
    mask: Array | None = None,
    lengths: Array | None = None,
    initial_state: StateLike | None = None,
    dtype: str | None = None,
    tensors: Collection[str] = DEFAULT_TENSORS,
) -> Trace | Traces:
    """Everything that LSTM layers do at every step: gates, states and output.

    Args:
        layer: address of an LSTM layer, or several; None for all of them.
        tensors: what to keep of ``h c i f g o z_i z_f z_g z_o output x``.

    The other arguments, and what is raised, are those of ``run``.

    Returns:
        The ``Trace`` of one cell, with arrays (B, T, U); ``Traces`` of several, by part or
        address: ``trace["forward"].h``.
    """
    session = Session(model, layer, direct=direct, dtype=dtype)
    return session.trace(
        x, mask=mask, lengths=lengths, initial_state=initial_state, tensors=tensors
    )


def trace_blocks(
    model: Model,
    blocks: Iterable[Any],
    *,
    layer: str | Sequence[str] | None = None,
    direct: bool = False,
    initial_state: StateLike | None = None,
    dtype: str | None = None,
    tensors: Collection[str] = DEFAULT_TENSORS,
) -> Iterator[Trace | Traces]:
    """The trace of one long run, block by block, in memory bounded by the block.

    ``trace`` of the whole input equals the blocks put together: bit for bit where blocks are a
    multiple of 256 steps long, to rounding otherwise.

    Args:
        blocks: consecutive pieces of the input along its time axis, each in the input's shape.

    Raises:
        UnsupportedFeatureError: if a layer on the way needs the whole sequence at once (a backward
            cell, Conv1D, pooling, Attention); and as ``run``.
    """
    session = Session(model, layer, direct=direct, dtype=dtype)
    return session.stream(blocks, initial_state=initial_state, tensors=tensors)
