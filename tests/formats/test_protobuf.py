"""The wire format of Protocol Buffers: bytes made by hand, and any bytes at all."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_cli.formats.protobuf import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    Message,
    encoded,
    encoded_varint,
    fields,
    varint,
    varints,
)
from lstm_cli.formats.reading import Problem

WHOLE = bytes.fromhex(
    "08 96 01"  # 1: 150, as the documentation of the format has it
    "12 07 74 65 73 74 69 6e 67"  # 2: the text "testing"
    "1a 03 08 96 01"  # 3: a message with 1: 150
    "22 06 03 8e 02 9e a7 05"  # 4: 3, 270, 86942, packed
    "2d 00 00 20 41"  # 5: 10.0 as a float
    "31 00 00 00 00 00 00 f0 3f"  # 6: 1.0 as a double
)


def test_each_kind_of_field() -> None:
    """Examples of https://protobuf.dev/programming-guides/encoding/."""
    message = Message(WHOLE, "a message")

    assert [(field.number, field.wire_type) for field in message.fields] == [
        (1, VARINT),
        (2, BYTES),
        (3, BYTES),
        (4, BYTES),
        (5, FIXED32),
        (6, FIXED64),
    ]
    assert message.integer(1) == 150
    assert message.text(2) == "testing"
    assert message.message(3, "inside").integer(1) == 150
    assert message.integers(4) == [3, 270, 86942]
    assert message.real(5) == 10.0
    assert message.last(6) == int.from_bytes(np.float64(1).tobytes(), "little")
    assert not message.has(7)
    assert (message.integer(7, -3), message.text(7), message.real(7, 0.5)) == (-3, "", 0.5)


def test_negative_numbers_take_ten_bytes() -> None:
    content = bytes.fromhex("08 fe ff ff ff ff ff ff ff ff 01")

    assert Message(content, "a message").integer(1) == -2
    assert encoded(1, -2) == content


def test_the_last_value_of_a_field_counts_and_lists_keep_all() -> None:
    content = bytes.fromhex("08 01 08 02 0a 02 03 04".replace("0a", "12")) + encoded(1, 7)

    message = Message(content, "a message")

    assert message.integer(1) == 7
    assert message.integers(1) == [1, 2, 7]


def test_floats_packed_or_not() -> None:
    one, both = np.float32(1.5).tobytes(), np.array([2.5, -3], "<f4").tobytes()
    content = b"\x0d" + one + encoded(1, both)

    np.testing.assert_array_equal(Message(content, "a message").reals(1), [1.5, 2.5, -3])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("08", "a number has no end"),
        ("08 ff ff ff ff ff ff ff ff ff ff 01", "a number has no end"),
        ("12 05 61", "a field of 5 bytes ends beyond it"),
        ("12 ff ff ff ff 7f", "ends beyond it"),
        ("2d 00 00", "cut short"),
        ("0b", "wire type 3"),
        ("00 01", "number 0"),
    ],
)
def test_what_is_no_message(content: str, told: str) -> None:
    with pytest.raises(Problem, match=told) as caught:
        Message(bytes.fromhex(content), "the thing")
    assert str(caught.value).startswith("the thing")


def test_a_field_of_another_kind_is_a_problem() -> None:
    message = Message(bytes.fromhex("08 01 12 01 ff"), "the thing")

    with pytest.raises(Problem, match="field 1 of the thing should hold bytes"):
        message.text(1)
    with pytest.raises(Problem, match="field 2 of the thing should be a number"):
        message.integer(2)
    with pytest.raises(Problem, match="not UTF-8"):
        message.text(2)
    with pytest.raises(Problem, match="cut short"):
        message.reals(2)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_are_fields_or_a_problem(content: bytes) -> None:
    try:
        found = list(fields(memoryview(content), "bytes"))
    except Problem:
        return
    assert all(field.number > 0 for field in found)
    sizes = sum(len(f.value) for f in found if isinstance(f.value, memoryview))
    assert sizes <= len(content)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), st.integers(0, 7))
@settings(deadline=None)
def test_damaged_bytes_are_fields_or_a_problem(at: int, byte: int, number: int) -> None:
    content = bytearray(WHOLE)
    content[at] = byte
    try:
        message = Message(bytes(content), "bytes")
    except Problem:
        return
    for read in (message.integers, message.texts, message.reals, message.bytes):
        with suppress(Problem):  # and nothing else
            read(number)


@given(st.integers(0, 2**64 - 1))
def test_numbers_survive(value: int) -> None:
    content = encoded_varint(value)

    assert varint(memoryview(content), 0, "a number") == (value, len(content))


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_packed_numbers_survive(values: list[int]) -> None:
    content = b"".join(map(encoded_varint, values))

    assert varints(memoryview(content), "numbers") == values


@given(
    st.lists(
        st.tuples(
            st.integers(1, 2**20),
            st.one_of(st.integers(-(2**63), 2**63 - 1), st.binary(), st.text()),
        ),
        max_size=8,
    )
)
@settings(deadline=None)
def test_fields_survive(values: list[tuple[int, int | bytes | str]]) -> None:
    message = Message(b"".join(encoded(number, value) for number, value in values), "fields")

    assert [field.number for field in message.fields] == [number for number, _ in values]
    for field, (_, value) in zip(message.fields, values, strict=True):
        if isinstance(value, int):
            assert field.value == value % 2**64
        else:
            assert isinstance(field.value, memoryview)
            assert bytes(field.value) == (value.encode() if isinstance(value, str) else value)
