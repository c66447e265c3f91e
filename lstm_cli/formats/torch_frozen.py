"""LSTM layers of frozen TorchScript archives, whose weights have become constants of the code.

Source: ``torch/csrc/jit/passes/freeze_module.cpp`` of PyTorch.
"""

from __future__ import annotations

import re
from typing import Any

from .state_dict import Facts
from .torch_archive import Archive
from .torch_contents import Contents, Found
from .torch_globals import is_tensor
from .torch_script import calls_in, flat_names
from .torch_storage import Tensor

_CONSTANT = re.compile(r"CONSTANTS\.c(\d{1,9})")
_ARGUMENT = re.compile(r"self_(?P<name>\w+?)__flat_weights\w*")


def frozen(archive: Archive, constants: Any) -> Contents:
    """Every call of ``torch.lstm`` in the code whose weights are constants, as a module.

    Modules have lost their names; where a variable still has one, it is used.
    """
    values = constants if isinstance(constants, (list, tuple)) else ()
    found = Found((), {}, {}, "TorchScript")
    code = [name for name in archive.names() if "/code/" in name and name.endswith(".py")]
    for member in code:
        for call in calls_in(archive.text(member.removeprefix(archive.root))):
            arrays = [array for name in call.weights for array in _constant(name, values)]
            names = flat_names(call, len(arrays))
            if not arrays or not len(names) == len(arrays) == len(call.weights):
                continue
            address = _free(_name(call.argument), found.facts)
            found.facts[address] = call.facts._replace(kind="LSTM")
            for name, array in zip(names, arrays, strict=True):
                found.tensors[f"{address}.{name}"] = array
    return Contents([found] if found.tensors else [], {})


def _constant(name: str, values: Any) -> list[Tensor]:
    """The tensor that a constant is; nothing for anything else."""
    match = _CONSTANT.fullmatch(name)
    index = int(match[1]) if match else len(values)
    return [value for value in values[index : index + 1] if is_tensor(value)]


def _name(argument: str) -> str:
    match = _ARGUMENT.fullmatch(argument)
    return match["name"] if match else "lstm"


def _free(name: str, taken: dict[str, Facts]) -> str:
    """The name, with a number where it is taken."""
    count = sum(other == name or other.startswith(f"{name}_") for other in taken)
    return f"{name}_{count}" if count else name
