"""Readers of PyTorch's files: zip archives, TorchScript, the older stream, pickles around tensors.

Nothing in a file is run. A pickle is read as data (``unpickling``), its state dicts and modules are
looked for (``torch_contents``), and what their tensors are is told from names (``state_dict``).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UsageError, listing
from ..model import Layer, Model
from .options import Options, treated
from .reading import Problem, describe
from .state_dict import distinct, layers_of_tensors, recurrent_addresses
from .torch_addresses import renamed
from .torch_archive import Archive, mapped
from .torch_contents import Contents, Found, contents
from .torch_frozen import frozen
from .torch_globals import Source, allowed
from .torch_script import Script
from .torch_script_json import described
from .torch_stream import is_stream, read_plain, read_stream
from .unpickling import Budget, unpickled

SAVED = "torch.save(model.state_dict(), FILE)"
SAVE_AGAIN = f"open it with PyTorch and save its weights with {SAVED}"
NO_GRAPH = {
    "state dict": "a state dict does not say how its layers are connected",
    "tensor": "tensors alone do not say what they are for",
    "whole module": "a pickled module is connected by Python code, which the file does not hold",
    "TorchScript": "the archive connects its layers by TorchScript code, which is not run",
}


def read_archive(path: Path, options: Options) -> Model:
    """A zip archive of torch.save, from PyTorch 1.6 on, or of TorchScript.

    Raises:
        Problem: if it is damaged, holds no tensors, or comes from torch.export.
    """
    view = mapped(path)
    archive = Archive(view, path)
    budget = Budget(len(view))
    if archive.main == "model.json" and "version" in archive:
        old = _File(path, options, "TorchScript archive (before 1.3)", None, budget)
        return _model(old, described(archive))
    if archive.main != "data.pkl":
        raise Problem(
            f"it is an archive of torch.export, whose programs are not read; {SAVE_AGAIN}"
        )
    order = archive.text("byteorder").strip()
    if order not in ("", "little", "big"):
        raise Problem(f"'byteorder' should be little or big, found {describe(order)}")
    script = Script(lambda module: archive.text(f"code/{module.replace('.', '/')}.py"))

    def value_in(pickle: str, folder: str) -> Any:
        source = Source(lambda key: archive.content(f"{folder}/{key}"), order == "big", _no_nested)
        return unpickled(archive.content(pickle), 0, allowed(source, budget), f"'{pickle}'")[0]

    value = value_in("data.pkl", "data")
    found = contents(value, options.treat_as_lstm, script)
    if not archive.has_folder("code/"):
        return _model(_File(path, options, "PyTorch zip archive", value, budget), found)
    if not found.found and "constants.pkl" in archive:
        found = frozen(archive, value_in("constants.pkl", "constants"))
        return _model(_File(path, options, "TorchScript archive, frozen", value, budget), found)
    return _model(_File(path, options, "TorchScript archive", value, budget), found)


def read_pickle(path: Path, options: Options) -> Model:
    """The stream that torch.save wrote before 1.6, or a plain pickle that holds tensors.

    Raises:
        Problem: if it is damaged, or holds no tensors.
    """
    data = mapped(path)
    budget = Budget(len(data))
    if is_stream(data):
        value, container = read_stream(data, budget), "PyTorch stream (before 1.6)"
    else:
        value, container = read_plain(data, budget), "pickle of PyTorch tensors"
    found = contents(value, options.treat_as_lstm, Script(lambda module: ""))
    return _model(_File(path, options, container, value, budget), found)


def read_tar(path: Path, options: Options) -> Model:
    """The archives of PyTorch before 0.1.10, which are refused.

    Raises:
        Problem: always.
    """
    raise Problem(f"it is a tar archive of PyTorch before 0.1.10, which is not read; {SAVE_AGAIN}")


def _no_nested(data: memoryview) -> Any:
    raise Problem("a storage stands inside of the pickle, where the archive should hold it")


class _File(NamedTuple):
    """A file, what the caller says of it, its container in words and the value in its pickle."""

    path: Path
    options: Options
    container: str
    value: Any
    budget: Budget


def _model(file: _File, contents: Contents) -> Model:
    if file.options.architecture is not None:
        raise UsageError(f"--architecture is for weights of Keras; {file.path} is of PyTorch")
    if not contents.found:
        raise Problem(_no_tensors(file.budget, list(contents.skipped)))
    layers: list[Layer] = []
    notes: list[str] = []
    listed = renamed(contents.found)
    for found in listed:
        for tensor in found.tensors.values():
            tensor.check()
        more, told = layers_of_tensors(found.tensors, found.facts)
        layers += more
        notes += told
    return Model(
        path=str(file.path),
        format=_format(file.container, listed),
        written_by=_writer(file.value),
        layers=tuple(distinct(layers)),
        assumptions=(*notes, *_treated(file, listed), *_left_out(contents, listed)),
        no_graph=NO_GRAPH[listed[0].kind],
    )


def _treated(file: _File, listed: list[Found]) -> list[str]:
    """Notes on the classes that are read as LSTM because the caller says so.

    Raises:
        UsageError: if a module is of no such class.
    """
    facts = [
        found.facts[address]
        for found in listed
        for address in recurrent_addresses(found.tensors)
        if address in found.facts
    ]
    used = {told.kind for told in facts if told.is_treated}
    known = sorted({told.kind for told in facts if told.refusal or told.is_treated})
    for name in file.options.treat_as_lstm:
        if known and name not in used:
            raise UsageError(
                f"--treat-as-lstm {name}: {file.path} has no custom class of that name; its "
                f"custom classes are: {listing(known)}"
            )
    return [treated(name) for name in file.options.treat_as_lstm if name in used]


def _no_tensors(budget: Budget, skipped: list[str]) -> str:
    if skipped:
        return f"it holds the state of an optimizer alone ({listing(skipped, 3)}); {SAVE_AGAIN}"
    names = [name for name in budget.names if not name.startswith("torch.")]
    named = f" (it names {listing(names, 6)}; nothing of that was run)" if names else ""
    return f"the pickle holds no PyTorch tensors{named}; expected what {SAVED} writes"


def _format(container: str, listed: list[Found]) -> str:
    first = listed[0]
    if container.startswith("TorchScript"):
        return container
    inside = "checkpoint with a " if first.path else ""
    return f"{container}, {inside}{first.kind}"


def _writer(value: Any) -> str:
    """PyTorch, and Lightning's version where a checkpoint has it; no file has PyTorch's own."""
    version = value.get("pytorch-lightning_version") if isinstance(value, dict) else None
    return (
        f"PyTorch (Lightning {describe(version)[1:-1]})" if isinstance(version, str) else "PyTorch"
    )


def _left_out(contents: Contents, listed: list[Found]) -> list[str]:
    """What the file holds beside what is listed, a sentence each."""
    notes = [f"{key}: the state of an optimizer, not listed" for key in contents.skipped]
    shown = {found.path for found in listed}
    others = {
        ".".join(found.path) or "the top"
        for found in contents.found
        if found.path not in shown and found.kind != "tensor" and not _are_single(found)
    }
    if others:
        notes.append(f"{listing(sorted(others), 4)}: tensors of no recurrent layer, not listed")
    return notes


def _are_single(found: Found) -> bool:
    """Whether all tensors are single numbers, as a loss or a count of steps is."""
    return all(math.prod(tensor.shape) == 1 for tensor in found.tensors.values())
