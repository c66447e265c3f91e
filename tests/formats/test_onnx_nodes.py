"""Operators of ONNX in the library that is installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from onnx_files import X, graph, lstm_model, model, node, port, saved, tensor, weights

import lstm_cli
from lstm_cli.errors import InputError, MissingExtraError, UnsupportedFeatureError
from lstm_cli.formats.protobuf import encoded
from lstm_cli.model import Foreign
from lstm_cli.peers import LIBRARIES, onnx_nodes


def skipped_without(library: str) -> list[pytest.MarkDecorator]:
    missing = find_spec(library) is None
    return [
        pytest.mark.framework,
        pytest.mark.skipif(missing, reason=f"{library} is not installed"),
    ]


LIBRARY = [pytest.param(name, marks=skipped_without(name)) for name in ("onnxruntime", "onnx")]


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes one library the only one that is installed."""

    def choose(library: str) -> None:
        monkeypatch.setattr(
            onnx_nodes, "find_spec", lambda name: find_spec(name) if name == library else None
        )

    return choose


def operation(*nodes: bytes, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Foreign:
    """A program as a reader cuts it out: without the types of its inputs."""
    ports = b"".join(encoded(12, encoded(1, name)) for name in outputs)
    content = model(graph(nodes) + ports)
    return Foreign("onnx", inputs, outputs, ("Erf",), lambda: content)


TWICE = operation(
    node("Add", ["a", "a"], ["twice"]),
    node("Shape", ["b"], ["size"]),
    inputs=("a", "b"),
    outputs=("size", "twice"),
)


@pytest.mark.parametrize("library", LIBRARY)
def test_values_in_the_order_of_the_outputs(library: str, only: Callable[[str], None]) -> None:
    only(library)
    run = LIBRARIES["onnx"]()

    size, twice = run(TWICE, [np.array([1, 2], np.float32), np.zeros((3, 0, 2))])

    np.testing.assert_array_equal(size, [3, 0, 2])
    np.testing.assert_array_equal(twice, np.array([2, 4], np.float32))


@pytest.mark.parametrize("library", LIBRARY)
def test_types_are_those_of_the_arrays(library: str, only: Callable[[str], None]) -> None:
    """The same program on other types is prepared anew; arrays need not be contiguous."""
    only(library)
    run = LIBRARIES["onnx"]()

    for dtype in (np.float32, np.float64, np.int64, np.int32):
        a = np.arange(6).reshape(2, 3).astype(dtype)
        _, twice = run(TWICE, [a.T, np.array(1, np.float32)])
        assert twice.dtype == dtype
        np.testing.assert_array_equal(twice, 2 * a.T)


@pytest.mark.parametrize("library", LIBRARY)
def test_a_program_is_prepared_once(library: str, only: Callable[[str], None]) -> None:
    only(library)
    asked: list[int] = []

    def program() -> bytes:
        asked.append(1)
        return TWICE.program()

    run = LIBRARIES["onnx"]()
    counted = Foreign("onnx", TWICE.inputs, TWICE.outputs, TWICE.operators, program)
    for _ in range(3):
        run(counted, [np.array([1], np.float32), np.array([1], np.float32)])

    assert len(asked) == 1


@pytest.mark.parametrize("library", LIBRARY)
def test_the_operators_around_an_lstm_in_either_library(
    library: str, only: Callable[[str], None], tmp_path: Path
) -> None:
    x = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)
    inputs = [port("x", 1, [None, None, 3])]
    around = lstm_cli.load(saved(tmp_path, lstm_model(node("Exp", ["x"], ["X"]), inputs=inputs)))
    alone = lstm_cli.load(saved(tmp_path, lstm_model(), "alone.onnx"))
    only(library)

    found = lstm_cli.run(around, x)

    for ours, expected in zip(found, lstm_cli.run(alone, np.exp(x)), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-6)  # exp may differ in the last place


@pytest.mark.parametrize("library", LIBRARY)
def test_half_precision_and_double(
    library: str, only: Callable[[str], None], tmp_path: Path
) -> None:
    """What the engine computes in another precision is cast to the one of the file."""
    only(library)
    nodes = [
        node("Exp", ["x"], ["X"]),
        node("LSTM", ["X", "W", "R"], ["Y"]),
        node("Exp", ["Y"], ["out"]),
    ]
    halves = [
        tensor("W", np.ones((1, 8, 3), np.float16)),
        tensor("R", np.ones((1, 8, 2), np.float16)),
    ]
    content = model(graph(nodes, [port("x", 10, [None, None, 3])], ["out"], halves))
    found = lstm_cli.load(saved(tmp_path, content))

    y = lstm_cli.run(found, np.zeros((1, 1, 3)))
    again = lstm_cli.run(found, np.zeros((1, 1, 3)), dtype="float64")

    c = np.tanh(3.0) / (1 + np.exp(-3))
    expected = np.exp(np.tanh(c) / (1 + np.exp(-3)))
    np.testing.assert_allclose(y, expected, rtol=1e-3)  # float16 has 11 bits
    np.testing.assert_allclose(again, expected, rtol=1e-3)


def test_without_a_library(only: Callable[[str], None]) -> None:
    only("neither")

    with pytest.raises(MissingExtraError) as caught:
        LIBRARIES["onnx"]()(TWICE, [np.array(1, np.float32), np.array(1, np.float32)])
    assert str(caught.value) == (
        "running Erf needs onnxruntime or onnx: pip install 'lstm-cli[onnx]'"
    )


def test_what_needs_no_operators_needs_no_library(
    only: Callable[[str], None], tmp_path: Path
) -> None:
    only("neither")
    found = lstm_cli.load(saved(tmp_path, lstm_model(node("Erf", ["Y"], ["late"]))))

    y, _, _ = lstm_cli.run(found, np.zeros((2, 1, 3), np.float32))
    assert y.shape == (2, 1, 1, 2)


def test_types_that_no_operator_takes() -> None:
    with pytest.raises(UnsupportedFeatureError, match="complex64"):
        LIBRARIES["onnx"]()(TWICE, [np.array([1], np.complex64), np.array([1], np.float32)])


@pytest.mark.parametrize("library", LIBRARY)
def test_failures_are_one_sentence(
    library: str, only: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    only(library)
    run = LIBRARIES["onnx"]()
    unfit = operation(node("MatMul", ["a", "b"], ["c"]), inputs=("a", "b"), outputs=("c",))
    unknown = operation(node("Nonsense", ["a"], ["c"]), inputs=("a",), outputs=("c",))

    with pytest.raises(InputError, match=r"cannot take a \(2, 3\), b \(4, 5\)") as caught:
        run(unfit, [np.zeros((2, 3), np.float32), np.zeros((4, 5), np.float32)])
    assert "\n" not in str(caught.value)
    with pytest.raises(UnsupportedFeatureError, match="not known to what is installed") as refused:
        run(unknown, [np.zeros(1, np.float32)])
    assert "\n" not in str(refused.value)
    assert refused.value.features == ("Erf",)
    assert capfd.readouterr() == ("", "")


@pytest.mark.framework
@pytest.mark.skipif(
    find_spec("onnxruntime") is None or find_spec("onnx") is None,
    reason="onnxruntime and onnx are not both installed",
)
def test_what_the_first_library_refuses_goes_to_the_second(tmp_path: Path) -> None:
    """onnxruntime has no Upsample of opset 1 any more; a sequence of tensors it cannot hand on."""
    content = model(graph([node("Celu", ["X"], ["out"], alpha=2.0)], [X], ["out"], weights()))
    double = content.replace(b"\x08\x01", b"\x08\x0b")  # no double precision in onnxruntime
    found = lstm_cli.load(saved(tmp_path, double))
    x = np.linspace(-2, 2, 12).reshape(2, 2, 3)

    y = lstm_cli.run(found, x)

    np.testing.assert_allclose(y, np.maximum(x, 0) + 2 * np.minimum(0, np.expm1(x / 2)), rtol=1e-6)
