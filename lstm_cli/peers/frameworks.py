"""The framework that wrote a model, run for the same job, so that both can be compared.

Each gives, for the layers that are asked for, arrays by the names that ``Session.run`` gives them
with ``return_sequences`` and ``return_state``; under ``""`` what the model itself returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ..errors import InputError, UsageError
from ..model import Array, Model

Returned = dict[str, dict[str, Array]]
"""By address of the layer, ``""`` for the model; then by name."""


@dataclass(frozen=True, slots=True)
class Framework:
    """One framework.

    Attributes:
        module: of this package, with a function ``results``.
        needs: libraries that must be installed.
        install: what to install, where that is more.
        direct: whether it runs single layers on their own input, not whole models.
    """

    module: str
    needs: tuple[str, ...]
    install: str = ""
    direct: bool = False


FRAMEWORKS: Mapping[str, Framework] = {
    "keras": Framework("keras_models", ("keras",), "keras tensorflow"),
    "torch": Framework("torch_layers", ("torch",), direct=True),
    "onnxruntime": Framework("onnx_models", ("onnxruntime", "onnx")),
}


def framework_results(
    name: str, model: Model, inputs: Mapping[str, Array], layers: Sequence[str]
) -> Returned:
    """What a framework returns for the model's file.

    Args:
        name: ``keras``, ``torch`` or ``onnxruntime``.
        model: read from the file, whose path it tells.
        inputs: by name in the file, each with its axis of sequences; a direct input alone.
        layers: addresses of the layers to look into.

    Raises:
        UsageError: if there is no such framework, or it is not installed; says what to install.
        InputError: if it cannot load the file, or fails to run it; with its own words.
    """
    if name not in FRAMEWORKS:
        raise UsageError(f"against: expected {', '.join(FRAMEWORKS)}, found '{name}'")
    framework = FRAMEWORKS[name]
    missing = [library for library in framework.needs if find_spec(library) is None]
    if missing:
        raise UsageError(
            f"comparing against {name} needs {' and '.join(missing)}: pip install "
            f"{framework.install or ' '.join(missing)}"
        )
    found: Returned = import_module(f".{framework.module}", __package__).results(
        model, inputs, layers
    )
    return found


def library(name: str) -> Any:
    """An installed framework.

    Raises:
        UsageError: if it cannot be imported, such as Keras without a backend.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError(f"{name} is installed and cannot be imported: {error}") from error


def refusal(name: str, what: str, error: Exception) -> InputError:
    """What a framework could not do, in one line of its own words."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = " ".join(lines[:2]) or type(error).__name__
    return InputError(f"{name} cannot {what}: {told[:300]}")
