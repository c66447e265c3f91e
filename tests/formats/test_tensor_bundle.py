"""TensorFlow's tensor bundle: what an index says, and what it may not make us do.

Values are compared exactly: they are copied, not computed.
"""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from golden_files import ROOT, Array
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensor_bundles import (
    MAGIC,
    Held,
    block,
    crc32c,
    entry,
    field,
    lstm_cell,
    masked,
    table,
    varint,
    write_bundle,
    write_objects,
)

import lstm_cli
from lstm_cli.errors import LstmCliError, ModelFileError
from lstm_cli.formats.object_graph import ObjectGraph
from lstm_cli.formats.reading import Problem
from lstm_cli.formats.tensor_bundle import Bundle, read_table

GOLDEN = ROOT / "tests" / "golden" / "savedmodel"
HEADER = (b"", field(1, 1))

ARRAYS: dict[str, Array] = {
    "a/b/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a/b/kernel_2": np.array(3, np.int64),
    "a/c": np.arange(4, dtype=np.float64),
    "half": np.array([0.5, -2, 65504], np.float16),
    "whole": np.array([[1], [2]], np.int32),
    "z": np.zeros((0, 3), np.float32),
}


# -- what it reads


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("size", [1, 2, 100])
def test_tensors_of_all_types(tmp_path: Path, shards: int, size: int) -> None:
    """Keys that share their beginnings, over several blocks and several data files."""
    bundle = Bundle(write_bundle(tmp_path / "w", dict(ARRAYS), shards, size))
    assert set(bundle.entries) == set(ARRAYS)
    for key, array in ARRAYS.items():
        found = bundle.array(key)
        np.testing.assert_array_equal(found, array.astype(found.dtype))
        wide = np.float32 if array.dtype == np.float16 else array.dtype
        assert found.dtype == wide
        assert found.flags.aligned  # behind a text or a half, numbers stand at odd places


def test_bfloat16_is_the_upper_half_of_a_float32(tmp_path: Path) -> None:
    exact = np.array([1.0, -0.15625, 3.0e38], np.float32)
    bits = (exact.view(np.uint32) >> 16).astype(np.uint16)
    (tmp_path / "w.data-00000-of-00001").write_bytes(bits.tobytes())
    index = tmp_path / "w.index"
    index.write_bytes(table([HEADER, (b"x", entry(14, (3,), 0, 0, 6))]))
    expected = (bits.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(Bundle(index).array("x"), expected)


def test_checksum_of_the_standard() -> None:
    """RFC 3720, appendix B.4: the oracle of these tests is itself right."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"123456789") == 0xE3069283


def test_every_golden_index_is_read_whole() -> None:
    """Each entry of files that TensorFlow wrote has its array, of the size that its shape says."""
    indices = sorted(GOLDEN.rglob("*.index"))
    assert len(indices) > 15
    for index in indices:
        bundle = Bundle(index)
        for key, told in bundle.entries.items():
            if told.dtype != 7 and not told.sliced:
                assert bundle.view(key).shape == told.shape


# -- what it refuses


def refused(path: Path) -> str:
    with pytest.raises(ModelFileError) as error:
        lstm_cli.load(path)
    return str(error.value)


def one_entry(tmp_path: Path, made: bytes, data: bytes = b"") -> Bundle:
    index = tmp_path / "w.index"
    index.write_bytes(table([HEADER, (b"x", made)]))
    (tmp_path / "w.data-00000-of-00001").write_bytes(data)
    return Bundle(index)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (entry(1, (2,), 0, 0, 12), "should take 8 bytes, the index says 12"),
        (entry(1, (2**40,), 0, 0, 2**42), "which has 8"),
        (entry(1, (2,), 0, 4, 8), "should end at byte 12"),
        (entry(1, (2,), 5, 0, 8), "data file 5 of 1"),
        (entry(8, (2,), 0, 0, 16), "type number 8"),
        (entry(1, (2,), 0, 0, 8) + field(7, b"x"), "stored in slices"),
    ],
)
def test_entries_that_do_not_fit(tmp_path: Path, made: bytes, message: str) -> None:
    bundle = one_entry(tmp_path, made, b"8 bytes!")
    with pytest.raises(Problem, match=message):
        bundle.array("x")


def test_a_small_index_that_claims_a_terabyte_takes_no_memory(tmp_path: Path) -> None:
    """Sizes in headers are never trusted."""
    bundle = one_entry(tmp_path, entry(1, (2**38,), 0, 0, 2**40), b"1234")
    tracemalloc.start()
    try:
        with pytest.raises(Problem, match="which has 4"):
            bundle.array("x")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_tensors_that_lie_on_each_other(tmp_path: Path) -> None:
    """A thousand names for one tensor would be a thousand copies of it."""
    size = 2**20 + 2**18
    (tmp_path / "w.data-00000-of-00001").write_bytes(bytes(size + 1))
    made = entry(1, (size // 4,), 0, 1, size)  # at an odd place, so that it is copied
    index = tmp_path / "w.index"
    index.write_bytes(table([HEADER, (b"a", made), (b"b", made)]))
    bundle = Bundle(index)
    first = bundle.array("a")
    assert bundle.array("a") is first  # read once
    with pytest.raises(Problem, match="lie on each other"):
        bundle.array("b")


def test_negative_numbers_in_an_entry(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="negative number"):
        one_entry(tmp_path, entry(1, (2,), 0, 2**64 - 4, 8), b"8 bytes!")


def test_compressed_blocks_are_refused_by_name(tmp_path: Path) -> None:
    """TensorFlow writes none; LevelDB's own tables have them."""
    index = tmp_path / "w.index"
    index.write_bytes(table([HEADER], kind=1))
    assert "compressed (Snappy)" in refused(index)


def test_a_flipped_bit_in_the_index_is_seen(tmp_path: Path) -> None:
    index = write_bundle(tmp_path / "w", dict(ARRAYS))
    content = bytearray(index.read_bytes())
    content[20] ^= 1
    index.write_bytes(content)
    assert "checksum" in refused(index)


def test_big_endian(tmp_path: Path) -> None:
    index = tmp_path / "w.index"
    index.write_bytes(table([(b"", field(1, 1) + field(2, 1))]))
    assert "big-endian" in refused(index)


@pytest.mark.parametrize("shards", [0, 100_000, 2**40])
def test_numbers_of_data_files(tmp_path: Path, shards: int) -> None:
    index = tmp_path / "w.index"
    index.write_bytes(table([(b"", field(1, shards) + field(2, 0))]))
    assert "data files" in refused(index)


def test_keys_out_of_order() -> None:
    with pytest.raises(Problem, match="not in order"):
        list(read_table(table([HEADER, (b"b", b""), (b"a", b"")])))


def test_a_block_named_twice() -> None:
    """A million times the same block would be a million times its entries."""
    made = block([HEADER])
    handle = varint(0) + varint(len(made) - 5)
    index = block([(b"a", handle), (b"b", handle)])
    handles = varint(0) + varint(0) + varint(len(made)) + varint(len(index) - 5)
    with pytest.raises(Problem, match="blocks overlap"):
        list(read_table(made + index + handles.ljust(40, b"\0") + MAGIC))


def test_names_that_unfold_without_end() -> None:
    """Each entry adds one byte to a long name: 8 kB of index for gigabytes of names."""
    first = varint(0) + varint(50_000) + varint(0) + bytes(50_000)
    grows = b"".join(varint(50_000 + k) + varint(1) + varint(0) + b"x" for k in range(1000))
    content = first + grows + b"\0\0\0\0\1\0\0\0\0"
    made = content + masked(content)
    index = block([(b"z", varint(0) + varint(len(made) - 5))])
    handles = varint(0) + varint(0) + varint(len(made)) + varint(len(index) - 5)
    whole = made + index + handles.ljust(40, b"\0") + MAGIC
    with pytest.raises(Problem, match="too long together"):
        list(read_table(whole))


def test_a_missing_data_file_is_named(tmp_path: Path) -> None:
    tree = {"lstm": {"cell": lstm_cell(1, 3, 2, "lstm/lstm_cell")}}
    index = write_objects(tmp_path / "w", tree)
    (tmp_path / "w.data-00000-of-00001").unlink()
    assert "w.data-00000-of-00001 is missing" in refused(index)


@pytest.mark.parametrize("cut", [1, 50, 200])
def test_data_files_that_are_cut_short(tmp_path: Path, cut: int) -> None:
    tree = {"lstm": {"cell": lstm_cell(1, 3, 2, "lstm/lstm_cell")}}
    index = write_objects(tmp_path / "w", tree)
    data = tmp_path / "w.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-cut])
    assert "should end at byte" in refused(index)


# -- the graph of objects


def test_objects_that_hold_each_other_have_an_end(tmp_path: Path) -> None:
    nodes = [field(1, field(1, 1) + field(2, "a")), field(1, field(1, 0) + field(2, "b"))]
    graph = b"".join(field(1, node) for node in nodes)
    index = write_bundle(tmp_path / "w", {"_CHECKPOINTABLE_OBJECT_GRAPH": graph})
    assert [path for path, _ in ObjectGraph(Bundle(index)).reached()] == ["", "a"]


def test_objects_nested_without_end(tmp_path: Path) -> None:
    chain = [field(1, field(1, k + 1) + field(2, "deeper")) for k in range(5000)] + [b""]
    graph = b"".join(field(1, node) for node in chain)
    index = write_bundle(tmp_path / "w", {"_CHECKPOINTABLE_OBJECT_GRAPH": graph})
    assert "deep" in refused(index)


def test_an_object_that_is_not_there(tmp_path: Path) -> None:
    graph = field(1, field(1, field(1, 9) + field(2, "a")))
    index = write_bundle(tmp_path / "w", {"_CHECKPOINTABLE_OBJECT_GRAPH": graph})
    assert "object that is not there" in refused(index)


def test_only_what_is_used_is_read(tmp_path: Path) -> None:
    """Opening is lazy: a large table beside a small LSTM costs nothing."""
    rows = np.zeros((500_000, 4), np.float32)
    tree = {
        "table": {"embeddings": Held(rows, "table/embeddings")},
        "lstm": {"cell": lstm_cell(1, 3, 2, "lstm/lstm_cell")},
    }
    index = write_objects(tmp_path / "w", tree)
    del rows
    tracemalloc.start()
    try:
        model = lstm_cli.load(index)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000  # of 8 MB
    finally:
        tracemalloc.stop()
    assert [layer.address for layer in model.lstm_layers] == ["lstm"]
    assert model.find("table").parameters == 2_000_000


# -- anything at all

QUICK = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@QUICK
@given(content=st.binary(max_size=400))
def test_any_bytes_before_the_signature(tmp_path: Path, content: bytes) -> None:
    """A result or a sentence, never another error."""
    index = tmp_path / "w.index"
    index.write_bytes(content.ljust(40, b"\0") + MAGIC)
    refused(index)


@QUICK
@given(
    entries=st.lists(st.tuples(st.binary(max_size=6), st.binary(max_size=24)), max_size=6),
    data=st.binary(max_size=64),
    size=st.integers(1, 3),
)
def test_any_entries_in_a_sound_table(
    tmp_path: Path, entries: list[tuple[bytes, bytes]], data: bytes, size: int
) -> None:
    """Checksums are right here, so that what stands in the blocks is what is tried."""
    index = tmp_path / "w.index"
    (tmp_path / "w.data-00000-of-00001").write_bytes(data)
    index.write_bytes(table([HEADER, *sorted(dict(entries).items())], size))
    try:
        lstm_cli.load(index)
    except LstmCliError:
        pass


@QUICK
@given(
    numbers=st.lists(st.integers(0, 2**64 - 1), min_size=5, max_size=5),
    axes=st.lists(st.integers(0, 2**63), max_size=3),
)
def test_any_numbers_in_an_entry(tmp_path: Path, numbers: list[int], axes: list[int]) -> None:
    dtype, shard, offset, size, _ = numbers
    made = entry(dtype % 20, axes, shard % 3, offset, size)
    index = tmp_path / "w.index"
    (tmp_path / "w.data-00000-of-00001").write_bytes(bytes(16))
    index.write_bytes(table([HEADER, (b"lstm/kernel", made), (b"lstm/recurrent_kernel", made)]))
    try:
        lstm_cli.load(index)
    except LstmCliError:
        pass


@QUICK
@given(where=st.integers(0, 3000), byte=st.integers(0, 255))
def test_a_changed_byte_in_the_object_graph(tmp_path: Path, where: int, byte: int) -> None:
    tree = {"lstm": {"cell": lstm_cell(1, 3, 2, "lstm/lstm_cell")}, "save_counter": {}}
    index = write_objects(tmp_path / "w", tree)
    data = tmp_path / "w.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[where % len(content)] = byte
    data.write_bytes(content)
    try:
        lstm_cli.load(index)
    except LstmCliError:
        pass
