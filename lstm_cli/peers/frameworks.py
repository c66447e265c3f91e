"""The framework that wrote a model, run for the same job, so that both can be compared.

Each gives, for the layers that are asked for, arrays by the names that ``Session.run`` gives them
with ``return_sequences`` and ``return_state``; under ``""`` what the model itself returns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from ..errors import InputError, UsageError
from ..model import Array, Model

Returned = dict[str, dict[str, Array]]
"""By address of the layer, ``""`` for the model; then by name."""

CAUSE = r"(?:Exception encountered|Unpickler error|Status Message):\s+([^\n]+)"
"""Where in a framework's message its cause stands."""

MOST_TOLD = 200
"""So many characters of a framework's own message are passed on."""


INSTEAD = "give EXPECTED numbers instead of --against"


class Results(NamedTuple):
    """What a framework returned, and its own name and version: ``tf_keras 2.21.0``."""

    by: str
    arrays: Returned


@dataclass(frozen=True, slots=True)
class Framework:
    """One framework.

    Attributes:
        module: of this package, with a function ``results``.
        needs: libraries that must be installed.
        reads: how the formats begin, by ``Model.format``, that it can read.
        install: what to install, where that is more.
        direct: whether it runs single layers on their own input, not whole models.
    """

    module: str
    needs: tuple[str, ...]
    reads: tuple[str, ...]
    install: str = ""
    direct: bool = False


FRAMEWORKS: Mapping[str, Framework] = {
    "keras": Framework(
        "keras_models", ("keras",), ("Keras", "TensorFlow SavedModel"), "keras tensorflow"
    ),
    "torch": Framework("torch_layers", ("torch",), ("PyTorch", "safetensors"), direct=True),
    "onnxruntime": Framework("onnx_models", ("onnxruntime", "onnx"), ("ONNX",)),
}


def framework_for(name: str, model: Model, direct: bool = False) -> Framework:
    """The framework that a model's file is compared against.

    Args:
        direct: whether a layer is to be run on its own input.

    Raises:
        UsageError: if there is no such framework, the file is not one of its own, or holds no
            whole model where it runs nothing else.
    """
    if name not in FRAMEWORKS:
        raise UsageError(f"against: expected {', '.join(FRAMEWORKS)}, found '{name}'")
    framework = FRAMEWORKS[name]
    if not model.format.startswith(framework.reads):
        other = next((n for n, f in FRAMEWORKS.items() if model.format.startswith(f.reads)), "")
        if not other:
            raise UsageError(f"no framework runs {model.path} here ({model.format}); {INSTEAD}")
        raise UsageError(
            f"{name} does not read {model.path} ({model.format}); use --against {other}"
        )
    if framework.direct:
        return framework
    if direct:
        raise UsageError(f"{name} runs whole models, not a layer directly")
    if not model.has_graph:
        raise UsageError(
            f"{name} runs whole models, and {model.path} holds none: "
            f"{model.no_graph or 'only weights'}; {INSTEAD}"
        )
    return framework


def framework_results(
    name: str, model: Model, inputs: Mapping[str, Array], layers: Sequence[str]
) -> Results:
    """What a framework returns for the model's file.

    Args:
        name: ``keras``, ``torch`` or ``onnxruntime``.
        model: read from the file, whose path it tells.
        inputs: by name in the file, each with its axis of sequences; a direct input alone.
        layers: addresses of the layers to look into.

    Raises:
        UsageError: as ``framework_for`` does, or if it is not installed; says what to install.
        InputError: if it cannot load the file, or fails to run it; with its own words.
    """
    framework = framework_for(name, model)
    missing = [library for library in framework.needs if find_spec(library) is None]
    if missing:
        raise UsageError(
            f"comparing against {name} needs {' and '.join(missing)}: pip install "
            f"{framework.install or ' '.join(missing)}"
        )
    found: Results = import_module(f".{framework.module}", __package__).results(
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


def installed(*names: str) -> list[str]:
    """Those of these libraries that are installed."""
    return [name for name in names if find_spec(name) is not None]


def labelled(module: Any) -> str:
    """A library's name and version."""
    return f"{module.__name__} {getattr(module, '__version__', '')}".rstrip()


def refusal(name: str, what: str, error: Exception) -> InputError:
    """What a framework could not do, in one line of its own words."""
    return InputError(f"{name} cannot {what}: {told(error)}")


def told(error: Exception) -> str:
    """The cause in a framework's own message, in one short line."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    causes = re.findall(
        r"(?:Exception encountered|Unpickler error|Status Message):\s+([^\n]+)", text
    )
    lines = [" ".join(line.split()) for line in (causes[-1:] or text.splitlines())]
    lines = [line for line in lines if line and not line.startswith("Exception encountered when")]
    line = " ".join(lines[: 2 if lines[0].endswith(":") else 1]) if lines else type(error).__name__
    line = re.sub(r"^Unsupported global: GLOBAL (\S+).*", r"it holds code or objects of \1", line)
    line = re.sub(r"^\[\w+\] : \d+ : \w+ : ", "", line)
    line = re.sub(r"^Exception during initialization: \S+:\d+ .*?&\) ", "", line)
    line = re.sub(r"[.,]?(?: Full object| using)? config[:=] ?\{.*", "", line)
    line = re.sub(r"\. (?:Please|Make sure|If you) .*", "", line)  # advice to programmers
    if len(line) <= MOST_TOLD:
        return line.rstrip(".")
    return line[:MOST_TOLD].rsplit(" ", 1)[0] + " …"
