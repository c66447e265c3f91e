"""The cells of a trace: blocks that are traces by themselves, choosing, and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import SAMPLES, Array, Cli
from made_models import cell, one_way, series, stacked, two_levels, two_ways

import lstm_cli
from lstm_cli import Trace, Traces
from lstm_cli.analysis.cells import InMemory, TracedCell, cells_of, choose_cells, real_steps
from lstm_cli.errors import InputError, NoSuchNameError

MASK = np.array([[1, 1, 0, 1, 1, 0, 0, 1], [0, 1, 1, 1, 1, 1, 1, 0]], bool)
LENGTHS = np.array([8, 5])
TENSORS = (*"hcifgo", "x")


def traced(**given: Any) -> Traces:
    trace = lstm_cli.trace(two_ways(cell(1), cell(2)), series(2, 8), tensors=TENSORS, **given)
    assert isinstance(trace, Traces)
    return trace


@pytest.mark.parametrize("given", [{}, {"mask": MASK}, {"lengths": LENGTHS}], ids=str)
@pytest.mark.parametrize("size", [1, 3, 8])
def test_every_block_goes_on_where_the_cell_was(given: dict[str, Array], size: int) -> None:
    """c = f c_before + i g in every block by itself, from its own initial to its final state."""
    trace = traced(**given, initial_state=0.4)
    for name, found in cells_of(trace).items():
        assert (found.sequences, found.steps, found.units) == (2, 8, 5)
        whole = trace[name]
        for start, stop in found.blocks(size):
            block = found.read(start, stop)
            real = real_steps(block)
            c, h = block.initial_c, block.initial_h
            order = range(stop - start)
            for k in reversed(order) if found.is_backward else order:
                step = real[:, k, np.newaxis]
                c = np.where(step, block.f[:, k] * c + block.i[:, k] * block.g[:, k], c)
                h = np.where(step, block.o[:, k] * np.tanh(c), h)
            np.testing.assert_allclose(c, block.final_c, rtol=0, atol=1e-12)
            np.testing.assert_allclose(h, block.final_h, rtol=0, atol=1e-12)
            for tensor in TENSORS:
                np.testing.assert_array_equal(
                    block.arrays[tensor], whole.arrays[tensor][:, start:stop]
                )


@pytest.mark.parametrize(
    ("sequences", "units", "first"), [(1, 64, 4096), (1000, 64, 131), (3000, 4096, 1)]
)
def test_blocks_of_many_sequences_have_fewer_steps(sequences: int, units: int, first: int) -> None:
    """At most 2**23 numbers: 131 steps of 64 000, and one step of more than that."""
    h = np.broadcast_to(np.float32(0), (sequences, 5000, units))
    blocks = list(TracedCell("", {}, {"h": InMemory(h)}, {}).blocks())
    assert blocks[0] == (0, first)
    assert [stop for _, stop in blocks[:-1]] == [start for start, _ in blocks[1:]]
    assert blocks[-1][1] == 5000


def test_real_steps() -> None:
    whole = traced(mask=MASK)["forward"]
    np.testing.assert_array_equal(real_steps(whole), MASK)
    ended = cells_of(traced(lengths=LENGTHS))["backward"]
    np.testing.assert_array_equal(real_steps(ended.read(3, 7)), [[1] * 4, [1, 1, 0, 0]])
    assert real_steps(traced()["forward"]).all()


def test_only_what_is_asked_for_is_read() -> None:
    found = cells_of(traced(mask=MASK))["forward"]
    block = found.read(2, 4, ("f",))
    assert set(block.arrays) == {"f", "mask"}
    assert block.meta["first_step"] == 2
    assert found.shape("x") == (2, 8, 3)


def test_a_cell_without_a_name() -> None:
    trace = lstm_cli.trace(one_way(cell()), series(1, 4))
    assert isinstance(trace, Trace)
    found = cells_of(trace)
    assert list(found) == [""]
    assert cells_of(found[""]) == found


# -- names


@pytest.fixture
def exported(lstm: Cli, tmp_path: Path) -> Path:
    path = tmp_path / "trace.h5"
    sample = SAMPLES / "bidirectional"
    options = ("--with-weights", "--with-input")
    lstm("export", f"{sample}.keras", f"{sample}.npy", *options, "-o", path).succeeded()
    return path


def test_cells_of_a_file_are_those_of_the_run(exported: Path) -> None:
    model, x = (
        lstm_cli.load(SAMPLES / "bidirectional.keras"),
        np.load(SAMPLES / "bidirectional.npy"),
    )
    expected = lstm_cli.trace(model, x, tensors=(*TENSORS, "output"))
    assert isinstance(expected, Traces)
    weights = lstm_cli.weights(model)

    found = lstm_cli.read_trace(exported)
    assert isinstance(found, Traces)
    assert list(found) == list(expected)
    assert found.meta == expected.meta
    for name, trace in expected.items():
        assert found[name].meta == trace.meta
        assert set(found[name].arrays) == set(trace.arrays)
        for tensor, array in trace.arrays.items():
            np.testing.assert_array_equal(found[name].arrays[tensor], array)
    with lstm_cli.open_trace(exported) as file:
        assert repr(file).endswith("middle/backward, top/forward, top/backward>")
        held = file.cells["middle/backward"].weights()
        for tensor in ("kernel", "recurrent_kernel", "bias"):
            np.testing.assert_array_equal(held[tensor], weights[f"middle/backward/{tensor}"])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ["bottom/forward", "bottom/backward", "middle/forward", "middle/backward"]),
        (["bottom"], ["bottom/forward", "bottom/backward"]),
        (["middle/backward"], ["middle/backward"]),
        (["backward"], ["bottom/backward", "middle/backward"]),
        (["middle/forward", "bottom/forward"], ["middle/forward", "bottom/forward"]),
    ],
)
def test_addresses_and_their_ends_choose(
    exported: Path, names: list[str], expected: list[str]
) -> None:
    with lstm_cli.open_trace(exported) as file:
        chosen = [name for name in file.choose(names) if not name.startswith("top")]
    assert chosen == expected


def test_a_name_that_chooses_nothing(exported: Path) -> None:
    with lstm_cli.open_trace(exported) as file:
        with pytest.raises(NoSuchNameError, match=r"^no cell 'midle'; there is: "):
            file.choose(["midle"])


def test_a_lone_cell_goes_by_its_layer(lstm: Cli, tmp_path: Path) -> None:
    sample = SAMPLES / "three_steps"
    path = tmp_path / "t.npz"
    lstm("export", f"{sample}.keras", f"{sample}.csv", "-o", path).succeeded()
    with lstm_cli.open_trace(path) as file:
        assert list(file.choose(["lstm"])) == [""]
        with pytest.raises(NoSuchNameError, match=r"^no cell 'other'; there is: lstm$"):
            file.choose(["other"])
    assert repr(lstm_cli.read_trace(path)) == "<Trace of lstm: B=1 T=3 U=1>"


def test_weights_of_a_layer_that_is_called_twice() -> None:
    trace = cells_of(lstm_cli.trace(one_way(cell()), series(1, 3)))[""]
    found = TracedCell("shared@1/forward", trace.meta, trace._arrays, {})
    found.add_weights({"shared/forward/kernel": np.ones(1), "other/kernel": np.zeros(1)})
    np.testing.assert_array_equal(found.weights()["kernel"], np.ones(1))


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (two_levels(), ["l0/forward", "l0/backward", "l1/forward", "l1/backward"]),
        (stacked(), ["0", "1"]),
    ],
    ids=["levels", "stack"],
)
def test_stacks_have_a_cell_for_each(model: lstm_cli.Model, names: list[str]) -> None:
    assert list(cells_of(lstm_cli.trace(model, series(1, 3)))) == names


# -- what is missing


@pytest.mark.parametrize(
    ("wanted", "advice"),
    [
        (("z_f", "f"), "lacks z_f (it has h, c, i, f, g, o); export it with --pre-activation"),
        (
            ("x", "kernel"),
            "lacks x, kernel (it has h, c, i, f, g, o); export it with --with-input --with-weights",
        ),
        (("output",), "lacks output (it has h, c, i, f, g, o); export it without --tensors"),
    ],
)
def test_what_a_trace_lacks_is_named(wanted: tuple[str, ...], advice: str) -> None:
    trace = lstm_cli.trace(one_way(cell()), series(1, 3), tensors=tuple("hcifgo"))
    with pytest.raises(InputError) as error:
        cells_of(trace)[""].require(wanted)
    assert str(error.value) == f"the trace {advice}"


def test_a_trace_without_cells() -> None:
    trace = lstm_cli.trace(one_way(cell()), series(1, 3), tensors=("output",))
    with pytest.raises(InputError, match=r"^the trace holds no h, c or gates$"):
        cells_of(trace)
    assert choose_cells({}, []) == {}
