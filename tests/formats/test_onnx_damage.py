"""Damaged ONNX files end in one sentence, whatever is wrong with them."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from golden_files import ROOT
from onnx_files import X, graph, lstm_model, model, node, port, saved, weights

import lstm_cli
from lstm_cli.errors import LstmCliError, ModelFileError
from lstm_cli.formats.protobuf import encoded, encoded_varint

GOLDEN = ROOT / "tests" / "golden" / "onnx"
FILES = [path for path in sorted(GOLDEN.glob("*.onnx")) if path.stem != "external"]


def damaged(content: bytes, seed: int) -> bytes:
    """Bytes changed, taken out, put in, or cut off at the end."""
    pick, found = random.Random(seed), bytearray(content)
    place = pick.randrange(len(found))
    kind = pick.random()
    if kind < 0.7:
        for _ in range(pick.choice([1, 1, 2, 5])):
            found[pick.randrange(len(found))] = pick.choice(
                [0, 1, 127, 128, 255, pick.randrange(256)]
            )
    elif kind < 0.8:
        del found[place : place + pick.randint(1, 30)]
    elif kind < 0.9:
        found[place:place] = found[: pick.randint(1, 30)]
    else:
        del found[place:]
    return bytes(found)


def outcome(path: Path) -> str:
    """What opening, inspecting and running a file ends in; any other exception is raised."""
    try:
        found = lstm_cli.load(path)
        lstm_cli.inspect(found)
        shapes = {entry.name: entry.shape or () for entry in found.inputs}
        inputs = {
            name: np.ones([2 if n is None else min(n, 6) for n in shape], np.float32)
            for name, shape in shapes.items()
        }
        lstm_cli.run(found, inputs)
    except LstmCliError as error:
        return type(error).__name__ if "\n" not in str(error) else f"several lines: {error}"
    return "computed"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_damaged_files(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()

    found = Counter(
        outcome(saved(tmp_path, damaged(content, seed), f"{seed}.onnx")) for seed in range(60)
    )

    assert not any("lines" in name for name in found)
    assert found["ModelFileError"] >= 5  # it is damage that is noticed


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_cut_short(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()

    for size in [*range(1, 40), *range(40, len(content), len(content) // 20)]:
        assert outcome(saved(tmp_path, content[:size])) in ("ModelFileError", "UnknownFormatError")


def test_a_tensor_that_claims_a_terabyte(tmp_path: Path) -> None:
    claim = b"".join(encoded(1, n) for n in (1, 8, 2**35)) + encoded(2, 1) + encoded(8, "W")
    content = lstm_model(tensors=[claim + encoded(9, bytes(96)), *weights()[1:]])

    with pytest.raises(ModelFileError, match="should have 1,099,511,627,776 bytes, found 96"):
        lstm_cli.load(saved(tmp_path, content))


def test_a_field_that_claims_more_than_the_file(tmp_path: Path) -> None:
    content = encoded(1, 8) + encoded_varint(7 << 3 | 2) + encoded_varint(2**40) + bytes(10)

    with pytest.raises(ModelFileError, match="ends beyond it"):
        lstm_cli.load(saved(tmp_path, content))


def test_a_file_without_a_graph(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="holds no graph"):
        lstm_cli.load(saved(tmp_path, encoded(1, 8) + encoded(2, "someone")))


def test_an_input_with_too_many_axes(tmp_path: Path) -> None:
    content = model(graph([], [port("x", 1, [1] * 100)], ["x"]))

    with pytest.raises(ModelFileError, match="has 100 axes"):
        lstm_cli.load(saved(tmp_path, content))


def test_an_if_without_its_branches(tmp_path: Path) -> None:
    inner = graph([node("LSTM", ["X", "W", "R"], ["Y"])], outputs=["Y"])
    missing = node("If", ["flag"], ["out"], "choice", then_branch=encoded(6, inner))
    unclear = node("If", ["flag", "flag"], ["out"], "choice", then_branch=encoded(6, inner))

    for choice, told in (
        (missing, "no graph 'else_branch'"),
        (unclear, "should read one condition"),
    ):
        content = model(graph([choice], [X, port("flag", 9, [])], ["out"], weights()))
        with pytest.raises(ModelFileError, match=told):
            lstm_cli.load(saved(tmp_path, content))


def test_more_branches_than_any_model_has(tmp_path: Path) -> None:
    lstms = [node("LSTM", ["X", "W", "R"], [f"y{k}"]) for k in range(4097)]

    with pytest.raises(ModelFileError, match="more than 4,096 LSTM and If nodes"):
        lstm_cli.load(saved(tmp_path, model(graph(lstms, [X], ["y0"], weights()))))
