"""The architecture as a test: who may import whom, who may print, and what starting costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest
from cli_runs import SAMPLES, environment

import lstm_cli
from lstm_cli.engine.activations import NAMES
from lstm_cli.formats.keras_activations import PLAIN

ROOT = Path(lstm_cli.__file__).parent

PUBLIC_API = {"__init__", "__main__", "api", "explanation", "verification"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "model": {"errors"},
    "traces": {"model", "errors"},
    "sequences": {"errors"},
    "formats": {"model", "errors"},
    "engine": {"model", "traces", "errors"},
    "analysis": {"traces", "model", "errors"},
    "peers": {"model", "traces", "errors"},
    "outputs": {"traces", "model", "analysis", "errors"},
    "cli": {"", "api", "explanation", "sequences", "outputs", "errors", "traces"},
}
"""For each part the other parts it may import; ``""`` is the package itself."""

FOR_TYPES_ONLY = {"cli": {"engine", "model", "analysis"}}
"""What a part may also import under ``TYPE_CHECKING``."""

OUTSIDE: dict[str, set[str]] = {
    "errors": set(),
    "model": {"numpy"},
    "traces": set(),
    "sequences": {"numpy", "h5py"},
    "formats": {"numpy", "h5py", "tflite"},
    "engine": {"numpy"},
    "analysis": {"numpy"},
    "peers": {"numpy", "onnx", "onnxruntime"},
    "outputs": {"numpy", "rich", "h5py", "matplotlib", "textual"},
    "cli": {"numpy", "rich", "typer"},
    "api": set(),
    "explanation": set(),
}
"""Libraries beside the standard one that a part may import; frameworks are for ``peers`` alone."""

ONLY_IN = {
    "h5py": {"formats/hdf5.py", "outputs/hdf5.py", "sequences/trace_hdf5.py"},
    "tflite": {"formats/tflite_file.py"},
    "matplotlib": {
        *("outputs/figure_labels.py", "outputs/figure_panels.py"),
        *("outputs/pictures.py", "outputs/plot_figure.py"),
    },
    "textual": {"outputs/view_app.py"},
}
"""Modules that alone may import a library, though their whole part may use what they read."""


class Import(NamedTuple):
    """One imported module: its full name, and whether it is for type checkers only."""

    module: str
    line: int
    for_types: bool


def imports(source: str, package: str) -> Iterator[Import]:
    """Everything that a module of ``package`` imports, wherever it stands in it."""
    tree = ast.parse(source)
    guarded = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and _is_type_checking(node.test)
        for statement in node.body
        for child in ast.walk(statement)
    }
    for node in ast.walk(tree):
        for_types = id(node) in guarded
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, for_types)
        elif isinstance(node, ast.ImportFrom):
            base = _resolved(node, package)
            for alias in node.names:
                yield Import(f"{base}.{alias.name}", node.lineno, for_types)


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _resolved(node: ast.ImportFrom, package: str) -> str:
    """The absolute name of what ``from … import`` imports from."""
    if not node.level:
        return node.module or ""
    parents = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parents, *([node.module] if node.module else [])])


PARTS = {path.name.removesuffix(".py") for path in ROOT.iterdir()}


def part_of(module: str) -> str:
    """``lstm_cli.engine.graph`` -> ``engine``; ``""`` for a name of the package itself."""
    second = module.partition(".")[2].partition(".")[0]
    return second if second in PARTS else ""


def broken_rules(path: str, source: str) -> list[str]:
    """What one module does that its part may not, a line each.

    Args:
        path: within the package: ``engine/graph.py``.
        source: its text.
    """
    part = path.split("/")[0].removesuffix(".py")
    package = ".".join(["lstm_cli", *path.split("/")[:-1]])
    return [
        *_wrong_imports(path, part, package, source),
        *([] if part == "cli" else _speaking(path, source)),
    ]


def _wrong_imports(path: str, part: str, package: str, source: str) -> Iterator[str]:
    for module, line, for_types in imports(source, package):
        where = f"{path}:{line}"
        first = module.split(".")[0]
        if first in sys.stdlib_module_names:
            continue
        if first == "lstm_cli":
            other = part_of(module)  # "" stands for the package itself
            types = FOR_TYPES_ONLY.get(part, set()) if for_types else set()
            if part not in PUBLIC_API and other != part and other not in MAY_IMPORT[part] | types:
                yield f"{where} imports {module}: {part} may not import {other or 'the package'}"
        elif first not in OUTSIDE.get(part, set()):
            yield f"{where} imports {module}: no library for {part}"
        elif first in ONLY_IN and path not in ONLY_IN[first]:
            yield f"{where} imports {module}: only {', '.join(sorted(ONLY_IN[first]))} may"


SPEAKING = {"print", "exit", "quit", "input", "breakpoint"}
SPEAKING_ATTRIBUTES = {("sys", "exit"), ("os", "_exit"), ("typer", "echo"), ("typer", "Exit")}
STREAMS = {("sys", "stdout"), ("sys", "stderr")}


def _speaking(path: str, source: str) -> Iterator[str]:
    """Where a module prints or ends the process."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in SPEAKING:
                yield f"{path}:{node.lineno} calls {node.func.id}()"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (node.value.id, node.attr) in SPEAKING_ATTRIBUTES | STREAMS:
                yield f"{path}:{node.lineno} uses {node.value.id}.{node.attr}"


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if "__pycache__" not in path.parts)


# -- the package


def test_every_part_has_its_rules() -> None:
    parts = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in modules()}
    assert parts == set(MAY_IMPORT) | PUBLIC_API
    assert len(modules()) > 50


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_data_flows_one_way(path: Path) -> None:
    assert broken_rules(path.relative_to(ROOT).as_posix(), path.read_text()) == []


@pytest.mark.parametrize("library", ["h5py", "matplotlib", "textual"])
def test_the_modules_that_alone_use_a_library_are_there(library: str) -> None:
    for path in ONLY_IN[library]:
        names = {found.module.split(".")[0] for found in imports((ROOT / path).read_text(), "x")}
        assert library in names


def test_engine_knows_every_activation_that_files_name() -> None:
    assert len(PLAIN) > 10
    assert set(PLAIN.values() if isinstance(PLAIN, dict) else PLAIN) <= set(NAMES)


# -- the checker itself, on breaks made up for it


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("model.py", "from .formats import load", "model may not import formats"),
        ("model.py", "import lstm_cli.engine.graph", "model may not import engine"),
        ("engine/graph.py", "from ..formats.keras import read", "engine may not import formats"),
        ("engine/layers/dense.py", "from ...cli import main", "engine may not import cli"),
        ("engine/layers/dense.py", "from ... import trace", "engine may not import the package"),
        ("sequences/csv.py", "def f():\n    from ..model import Array", "may not import model"),
        ("outputs/tables.py", "import lstm_cli", "outputs may not import the package"),
        ("cli/run.py", "from ..engine.session import Session", "cli may not import engine"),
        ("cli/run.py", "from ..formats import load", "cli may not import formats"),
        ("formats/keras.py", "import tensorflow as tf", "no library for formats"),
        ("engine/graph.py", "try:\n    import torch\nexcept ImportError:\n    pass", "no library"),
        ("outputs/tables.py", "from scipy.stats import norm", "no library for outputs"),
        ("engine/graph.py", "import rich", "no library for engine"),
        ("formats/keras.py", "import h5py", "only formats/hdf5.py, outputs/hdf5.py, "),
        ("api.py", "import numpy", "no library for api"),
        ("engine/graph.py", "print(1)", "engine/graph.py:1 calls print()"),
        ("outputs/files.py", "import sys\nsys.stdout.write('x')", "uses sys.stdout"),
        ("formats/keras.py", "import sys\nsys.exit(2)", "uses sys.exit"),
        ("api.py", "exit(1)", "api.py:1 calls exit()"),
    ],
)
def test_a_break_is_found(path: str, source: str, expected: str) -> None:
    found = broken_rules(path, source)
    assert len(found) == 1, found
    assert expected in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("model.py", "from .errors import ShapeError\nimport numpy as np"),
        ("engine/layers/dense.py", "from ...model import Array\nfrom ..tensor import Tensor"),
        ("engine/layers/dense.py", "from . import rule\nfrom .. import activations"),
        ("cli/run.py", "from .. import load\nfrom ..sequences import read_input\nprint(1)"),
        (
            "cli/run.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..model import Array",
        ),
        ("formats/hdf5.py", "import h5py"),
        ("__init__.py", "from .api import run\nfrom .engine.session import Session"),
        ("outputs/tables.py", "from rich.text import Text\nblueprint = 1"),
    ],
)
def test_what_is_allowed_is_not_found(path: str, source: str) -> None:
    assert broken_rules(path, source) == []


# -- what starting costs


def imported_by(*statements: str) -> set[str]:
    """The top-level modules that are loaded after some statements, in a process of its own."""
    code = "; ".join([*statements, "import sys", "print('\\n' + ' '.join(sys.modules))"])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_importing_the_package_loads_nothing_else() -> None:
    loaded = imported_by("import lstm_cli", "lstm_cli.__all__", "dir(lstm_cli)")
    assert "lstm_cli" in loaded
    assert loaded.isdisjoint({"numpy", "h5py", "rich", "typer", "click", "json", "dataclasses"})


@pytest.mark.parametrize("arguments", [["--help"], ["gates", "--help"], ["--version"]])
def test_help_needs_no_numbers(arguments: list[str]) -> None:
    """Typer itself draws its help pages with Rich."""
    loaded = imported_by("from lstm_cli.cli.app import run_app", f"run_app({arguments!r})")
    assert loaded.isdisjoint({"numpy", "h5py"})
    assert ("rich" in loaded) == ("--help" in arguments)


def test_piped_output_needs_no_drawing() -> None:
    command = ["states", str(SAMPLES / "three_steps.keras"), str(SAMPLES / "three_steps.csv")]
    loaded = imported_by("from lstm_cli.cli.app import run_app", f"run_app({command!r})")

    assert {"numpy", "h5py"} <= loaded
    assert loaded.isdisjoint({"rich", "tensorflow", "keras", "torch", "onnxruntime", "jax"})


def test_the_environment_stays_as_it_is() -> None:
    loaded = imported_by(
        "import os; before = dict(os.environ)",
        "import lstm_cli; lstm_cli.load",
        "assert dict(os.environ) == before",
        "import warnings, signal; assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL",
    )
    assert "lstm_cli" in loaded


def test_every_module_can_be_imported_by_itself() -> None:
    for path in modules():
        name = ".".join(("lstm_cli", *path.relative_to(ROOT).with_suffix("").parts))
        if not name.endswith(("__main__", "__init__")):
            assert import_module(name).__doc__, f"{name} has no docstring"
