"""The LSTM layers of a PyTorch file run by PyTorch, from the tensors in the file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import InputError
from ..model import Array, Model
from .frameworks import INSTEAD, Results, Returned, labelled, library, refusal

NORMALISED = ((".original0", ".original1"), ("_g", "_v"))
"""How weight normalisation calls the length and direction of a weight, now and before 2.0."""


def results(model: Model, inputs: Mapping[str, Array], layers: Sequence[str]) -> Results:
    """What PyTorch's own layers return for one input that is batch first.

    The file is loaded with ``weights_only``: no code in it runs. Weights in half precision are
    computed with in float32.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch talks about its own speed
        return _results(model, inputs, layers)


def _results(model: Model, inputs: Mapping[str, Array], layers: Sequence[str]) -> Results:
    torch = library("torch")
    try:
        loaded = torch.load(model.path, map_location="cpu", weights_only=True)
    except Exception as error:  # PyTorch raises what it likes
        raise refusal("torch", f"load {model.path} without running code in it", error) from error
    (array,) = inputs.values()
    found: Returned = {}
    for address in layers:
        tensors = _tensors(loaded, "" if address == "lstm" else f"{address}.")
        tensors = tensors or _tensors(loaded, f"{address}.")
        if not tensors:
            raise InputError(
                f"torch finds no plain tensors of layer '{address}' in {model.path}; {INSTEAD}"
            )
        try:
            with torch.no_grad():
                run = _run_cell if "weight_ih" in tensors else _run_lstm
                found[address] = run(torch, _computable(torch, tensors), array)
        except Exception as error:
            raise refusal("torch", f"run layer '{address}'", error) from error
    return Results(labelled(torch), found)


def _tensors(value: Any, prefix: str) -> dict[str, Any]:
    """The tensors of a layer by their names in it, wherever their dictionary is.

    Those that weight normalisation split into length and direction keep the names that it gave.
    """
    for mapping in _mappings(value):
        own = {
            str(key)[len(prefix) :]: tensor
            for key, tensor in mapping.items()
            if str(key).startswith(prefix)
        }
        beginnings = ("weight_", "bias_", "parametrizations.weight_")
        kept = {k: t for k, t in own.items() if k.startswith(beginnings)}
        if any("weight_ih" in key for key in kept):
            return kept
    return {}


def _computable(torch: Any, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors of half precision as float32; normalised and pruned weights put together."""
    found = {
        name: tensor if tensor.dtype == torch.float64 else tensor.float()
        for name, tensor in tensors.items()
    }
    for length, direction in NORMALISED:
        for name in [name for name in found if name.endswith(length)]:
            stem = name.removesuffix(length)
            whole = _of_length(torch, found.pop(stem + direction), found.pop(name))
            found[stem.removeprefix("parametrizations.")] = whole
    for name in [name for name in found if name.endswith("_mask")]:
        stem = name.removesuffix("_mask")
        found[stem] = found.pop(f"{stem}_orig") * found.pop(name)
    return found


def _of_length(torch: Any, direction: Any, length: Any) -> Any:
    """A tensor whose norms over all axes in which ``length`` has one entry are ``length``."""
    axes = [k for k in range(direction.ndim) if length.ndim == 0 or length.shape[k] == 1]
    return direction * (length / torch.linalg.vector_norm(direction, dim=axes, keepdim=True))


def _mappings(value: Any) -> Iterator[Mapping[Any, Any]]:
    if isinstance(value, Mapping):
        yield value
        for inner in value.values():
            yield from _mappings(inner)


def _run_lstm(torch: Any, tensors: Mapping[str, Any], array: Array) -> dict[str, Array]:
    weights = tensors["weight_ih_l0"]
    module = torch.nn.LSTM(
        input_size=weights.shape[1],
        hidden_size=weights.shape[0] // 4,
        num_layers=len({key.split("_l")[-1].split("_")[0] for key in tensors if "_ih_l" in key}),
        bidirectional=any(key.endswith("_reverse") for key in tensors),
        proj_size=tensors["weight_hr_l0"].shape[0] if "weight_hr_l0" in tensors else 0,
        bias="bias_ih_l0" in tensors,
        batch_first=True,
        dtype=weights.dtype,
    )
    module.load_state_dict(dict(tensors))
    output, (h, c) = module.eval()(torch.as_tensor(array).to(weights.dtype))
    return {"output": output.numpy(), "h_n": h.numpy(), "c_n": c.numpy()}


def _run_cell(torch: Any, tensors: Mapping[str, Any], array: Array) -> dict[str, Array]:
    weights = tensors["weight_ih"]
    cell = torch.nn.LSTMCell(
        weights.shape[1], weights.shape[0] // 4, bias="bias_ih" in tensors, dtype=weights.dtype
    )
    cell.load_state_dict(dict(tensors))
    steps = torch.as_tensor(array).to(weights.dtype).unbind(1)
    state, outputs = None, []
    for step in steps:
        state = cell(step, state)
        outputs.append(state[0])
    h, c = state or (None, None)
    found = {"output": torch.stack(outputs, 1), "h_n": h, "c_n": c}
    return {name: tensor.numpy() for name, tensor in found.items()}
