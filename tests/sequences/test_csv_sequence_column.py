"""Rows that are split into sequences of unequal length by a column."""

from __future__ import annotations

import io

import numpy as np
import pytest

from lstm_cli.errors import InputError, NoSuchNameError, UsageError
from lstm_cli.sequences import read_input

MIXED = b"id,x,y\nu,1,2\nv,3,4\nu,5,6\nw,7,8\nu,9,10\nw,11,12\n"


def test_rows_of_one_sequence_need_not_be_together() -> None:
    found = read_input(io.BytesIO(MIXED), sequence_column="id")

    expected = [[[1, 2], [5, 6], [9, 10]], [[3, 4], [0, 0], [0, 0]], [[7, 8], [11, 12], [0, 0]]]
    np.testing.assert_array_equal(found.array, expected)
    np.testing.assert_array_equal(found.lengths, [3, 1, 2])
    assert found.sequences == ("u", "v", "w")
    assert found.columns == ("x", "y")
    assert found.array.dtype == np.float32


def test_equal_lengths_are_given_too() -> None:
    found = read_input(io.BytesIO(b"7 1.5\n7 2.5\n3 4\n3 5\n"), sequence_column=0)
    np.testing.assert_array_equal(found.array, [[[1.5], [2.5]], [[4], [5]]])
    np.testing.assert_array_equal(found.lengths, [2, 2])
    assert found.sequences == ("7", "3")


@pytest.mark.parametrize(("columns", "feature"), [(["y"], 2), (["id", "y"], 7)])
def test_with_chosen_columns(columns: list[str], feature: int) -> None:
    found = read_input(io.BytesIO(b"id,x,y\n7,1,2\n"), columns=columns, sequence_column="id")
    assert found.array.shape == (1, 1, len(columns))
    assert found.array[0, 0, 0] == feature


def test_quoted_names_with_delimiters() -> None:
    content = b'id;x\n"a; b";1,5\n"c";2\n# comment\n"a; b";3\n'
    found = read_input(io.BytesIO(content), sequence_column="id")
    np.testing.assert_array_equal(found.array, [[[1.5], [3]], [[2], [0]]])
    assert found.sequences == ("a; b", "c")


@pytest.mark.parametrize("seed", range(3))
def test_random_sequences(seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 300, 20_000)  # more rows than one block
    values = generator.integers(-1000, 1000, (20_000, 2))
    text = "".join(f"{a},s{k},{b}\n" for k, (a, b) in zip(labels, values, strict=True))

    found = read_input(io.BytesIO(text.encode()), sequence_column="1")

    assert found.lengths is not None
    assert found.sequences == tuple(dict.fromkeys(f"s{k}" for k in labels))
    for name, array, length in zip(found.sequences, found.array, found.lengths, strict=True):
        np.testing.assert_array_equal(array[:length], values[labels == int(name[1:])])
        assert not array[length:].any()


def test_a_row_without_a_name() -> None:
    with pytest.raises(InputError) as error:
        read_input(io.BytesIO(b"id,x\nu,1\n,2\n"), sequence_column="id")
    assert str(error.value) == (
        "the stream: row 2 (line 3), column 'id': found no value, expected the name of its sequence"
    )


def test_only_the_sequence_column() -> None:
    with pytest.raises(InputError, match="no column beside the one that names the sequences"):
        read_input(io.BytesIO(b"id\nu\n"), sequence_column="id")


def test_text_in_another_column() -> None:
    with pytest.raises(InputError, match=r"'day' holds text \('mo' in row 1\).*--columns x"):
        read_input(io.BytesIO(b"id,day,x\nu,mo,1\n"), sequence_column="id")


def test_no_such_column() -> None:
    with pytest.raises(NoSuchNameError, match="no column 'idd'; there is: id, x"):
        read_input(io.BytesIO(b"id,x\nu,1\n"), sequence_column="idd")


def test_padding_that_would_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstm_cli.sequences.csv_sequences.MOST_PADDED", 1000)
    rows = "u,1\n" * 100 + "".join(f"v{k},1\n" for k in range(100))
    with pytest.raises(InputError, match="101 sequences padded to the longest one's 100 steps"):
        read_input(io.BytesIO(rows.encode()), sequence_column=0)


def test_arrays_have_no_sequence_column() -> None:
    stream = io.BytesIO()
    np.save(stream, np.ones((2, 2)))
    stream.seek(0)
    with pytest.raises(UsageError, match=r"--sequence-column works on text, this is \.npy"):
        read_input(stream, sequence_column="id")
