"""``--gate-order``: for an .npz whose names do not say in which order its gates are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_runs import SAMPLES, Cli
from golden_files import FLOAT32, ROOT, Array

import lstm_cli
from lstm_cli.errors import UsageError

with np.load(ROOT / "tests" / "golden" / "npz" / "lstm.npz") as golden:
    GOLDEN = dict(golden)


def write(order: str) -> None:
    """``w.npz`` with W U b, gates in this order, and the input that Keras was given."""
    arrays: dict[str, Array] = {}
    for name, key in (("W", "kernel"), ("U", "recurrent_kernel"), ("b", "bias")):
        parts = dict(zip("ifco", np.split(GOLDEN[key], 4, axis=-1), strict=True))
        arrays[name] = np.concatenate([parts[gate] for gate in order], axis=-1)
    np.savez("w.npz", **arrays)  # type: ignore[arg-type]
    np.save("x.npy", GOLDEN["x0"])


@pytest.mark.parametrize("order", ["ifco", "iofc", "icfo", "ofic"])
def test_any_order_gives_what_keras_computed(lstm: Cli, order: str) -> None:
    write(order)
    ran = lstm("states", "w.npz", "x.npy", "--gate-order", order, "-o", "s.npz")
    assert ran.code == 0
    assert f"note: gates in the order {order}, because you said so" in ran.err
    with np.load("s.npz") as states:
        np.testing.assert_allclose(states["h"], GOLDEN["y0"], rtol=0, atol=FLOAT32)


@pytest.mark.parametrize("spelt", ["ifgo", "i f c o", "IFJO", "i,f,g,o"])
def test_letters_of_the_candidate(lstm: Cli, spelt: str) -> None:
    """c in Keras and ONNX, g in papers and PyTorch, j in TensorFlow."""
    write("ifco")
    ran = lstm("weights", "w.npz", "--gate-order", spelt, "-o", "out.npz").succeeded()
    assert not ran.out
    with np.load("out.npz") as arrays:
        np.testing.assert_array_equal(arrays["kernel"], GOLDEN["kernel"])


def test_without_it_the_choices_are_named(lstm: Cli) -> None:
    write("ifco")
    told = lstm("inspect", "w.npz").refusal()
    assert "W, U, b" in told
    for choice in ("--gate-order", "ifco (Keras, PyTorch)", "iofc (ONNX)", "icfo"):
        assert choice in told


@pytest.mark.parametrize("order", ["ifc", "ifcc", "ifcox", "", "abcd", "ifcgo"])
def test_orders_that_are_none(lstm: Cli, order: str) -> None:
    write("ifco")
    assert (
        "--gate-order: expected the letters i f c o"
        in lstm("inspect", "w.npz", "--gate-order", order).refusal()
    )


def test_names_that_say_it_need_override(lstm: Cli) -> None:
    arrays = {name: GOLDEN[name] for name in ("kernel", "recurrent_kernel", "bias")}
    np.savez("k.npz", **arrays)
    assert "--override" in lstm("inspect", "k.npz", "--gate-order", "iofc").refusal()
    model = lstm_cli.load("k.npz", gate_order="iofc", override=True)
    i, o, f, g = np.split(GOLDEN["kernel"], 4, axis=1)
    np.testing.assert_array_equal(lstm_cli.weights(model)["kernel"], np.hstack([i, f, g, o]))


def test_other_files_say_it_themselves() -> None:
    with pytest.raises(UsageError, match="says itself in which order its gates are"):
        lstm_cli.load(next(SAMPLES.glob("*.keras")), gate_order="ifco")


def test_the_card_says_what_was_said(lstm: Cli) -> None:
    write("iofc")
    told = lstm("inspect", "w.npz", "--gate-order", "iofc").text
    assert "gates in the order iofc, because you said so" in told


def test_it_is_an_option_of_every_command_that_opens_a_model(lstm: Cli) -> None:
    for command in ("inspect", "weights", "run", "states", "gates", "export"):
        assert "--gate-order" in lstm(command, "--help").text


def test_python_takes_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("fico")
    model = lstm_cli.load("w.npz", gate_order="fico")
    y = lstm_cli.run(model, GOLDEN["x0"], layer="lstm", direct=True)
    np.testing.assert_allclose(y, GOLDEN["y0"], rtol=0, atol=FLOAT32)
