"""Hostile and damaged pickles: nothing is run, and memory and time stay bounded."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import pickletools
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch_files import (
    GOLDEN,
    MADE,
    archive,
    called,
    edited,
    lstm_arrays,
    mapping,
    name,
    pickled,
    several,
    state_dict,
    storage,
    tensor,
    text,
    whole,
)

import lstm_cli
from lstm_cli.formats.reading import Problem
from lstm_cli.formats.torch_globals import CALLS, Source, allowed
from lstm_cli.formats.unpickling import OPCODES, Budget, Name, Stub, unpickled

ROOT = Path(__file__).parents[2]
MEMORY = 200 * 2**20
SECONDS = 10.0


def read(data: bytes, size: int = 2**20) -> Any:
    """The value of a pickle of PyTorch, without any storages beside it."""

    def nothing(key: Any) -> memoryview:
        raise Problem("no storages here")

    may = allowed(Source(nothing, False, nothing), Budget(size))
    return unpickled(memoryview(data), 0, may, "the pickle")[0]


class Exploding:
    """What a hostile pickle would run."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


_heard: list[str] = []
_WATCHED = ("os.system", "subprocess.Popen", "os.posix_spawn", "os.exec", "pickle.find_class")
sys.addaudithook(lambda event, given: _heard.append(event) if event in _WATCHED else None)


@pytest.fixture
def alarms() -> list[str]:
    """What the interpreter was asked to run; no reader asks for any of it."""
    _heard.clear()
    return _heard


HOSTILE = {
    "os.system": called(name("os", "system"), text("touch PWNED")),
    "posix.system": called(name("posix", "system"), text("touch PWNED")),
    "eval": called(name("builtins", "eval"), text("open('PWNED', 'w')")),
    "__builtin__.exec": called(name("__builtin__", "exec"), text("open('PWNED', 'w')")),
    "new object": name("subprocess", "Popen") + several(text("touch PWNED")) + b"\x81",
    "keywords": name("subprocess", "Popen") + several(text("touch PWNED")) + b"}\x92",
    "old instance": b"(" + name("os", "system") + text("touch PWNED") + b"o",
    "stack global": text("os") + text("system") + b"\x93" + several(text("touch PWNED")) + b"R",
    "dotted": text("os") + text("path.os.system") + b"\x93" + several(text("touch PWNED")) + b"R",
    "state": name("os", "system") + b")\x81" + mapping({"__setstate__": text("PWNED")}) + b"b",
    "torch alike": called(name("torch._utils.os", "system"), text("touch PWNED")),
    "allowed name elsewhere": called(name("os", "_rebuild_tensor_v2"), text("touch PWNED")),
    "inner function": called(
        name("torch._tensor", "_rebuild_from_type_v2"),
        *(name("os", "system"), name("torch", "Tensor"), several(text("touch PWNED")), b"N"),
    ),
    "as a persistent id": several(text("module"), called(name("os", "system"), text("PWNED")))
    + b"Q",
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("beside_weights", [True, False])
def test_nothing_is_run(
    tmp_path: Path,
    alarms: list[str],
    monkeypatch: pytest.MonkeyPatch,
    hostile: bytes,
    beside_weights: bool,
) -> None:
    """A reduce of anything that is not on the list is kept as data, whatever its name is like."""
    monkeypatch.chdir(tmp_path)
    arrays = lstm_arrays()
    entries = {
        key: tensor(storage(str(k), array.size), array.shape)
        for k, (key, array) in enumerate(arrays.items() if beside_weights else ())
    }
    contents = {str(k): array.tobytes() for k, array in enumerate(arrays.values())}
    data = pickled(mapping({"hostile": hostile, "model": mapping(entries)}))
    path = archive(tmp_path / "model.pt", data, contents)
    model = loaded(path)
    if model is not None:
        assert beside_weights
        assert [layer.address for layer in model.layers] == ["lstm"]
    assert not alarms
    assert not Path("PWNED").exists()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model.pt"]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_nothing_of_a_plain_pickle_is_run(tmp_path: Path, alarms: list[str], protocol: int) -> None:
    bomb = {"a": Exploding(os.getcwd), "b": Exploding(print, "PWNED")}
    path = tmp_path / "plain.pkl"
    path.write_bytes(pickle.dumps(bomb, protocol=protocol))
    with pytest.raises(lstm_cli.ModelFileError, match=r"no PyTorch tensors.*builtins\.print"):
        lstm_cli.load(path)
    assert not alarms


def test_calls_are_an_exact_list() -> None:
    """Whole names are allowed, never a module: this is all that a pickle can do."""
    assert all(len(key) == 2 for key in CALLS)
    modules = {module.split(".")[0] for module, _ in CALLS}
    assert modules == {"torch", "collections", "copyreg", "_codecs"}
    assert len(CALLS) < 30


def test_unknown_objects_are_stubs() -> None:
    made = name("some.where", "Thing") + several(whole(3)) + b"\x81"
    found = read(pickled(made, mapping({"size": whole(7)}), b"b"))
    assert isinstance(found, Stub)
    assert found.kind == Name("some.where", "Thing")
    assert found.arguments == (3,)
    assert found.attributes == {"size": 7}


def test_keys_that_are_slow_to_hash_become_stubs() -> None:
    """Integers that all have one hash, floats, and tuples that may be nested without end."""
    keys = [whole(2**61 - 1), whole(-(2**61)), b"N\x85", b"G" + struct.pack(">d", 2.0**61), b"]"]
    found = read(pickled(b"}(", *(key + b"N" for key in keys), b"u"))
    assert len(found) == len(keys)
    assert all(isinstance(key, Stub) for key in found)
    assert set(read(pickled(b"}(" + text("a") + b"NK\x03NNNu"))) == {"a", 3, None}


# -- bombs


BOMBS = {
    "deep lists": pickled(b"]" * 60_000 + b"a" * 59_999),
    "deep tuples": pickled(b"N" + b"\x85" * 60_000),
    "deep tuple as a key": pickled(b"}N" + b"\x85" * 60_000 + b"Ns"),
    "deep marks": pickled(b"(" * 60_000 + b"t" * 60_000),
    "deep calls": pickled(name("a", "b") + b"q\x00" + b"0N" + b"\x85h\x00b" * 1),
    "deep reduces": pickled(name("a", "b") + b")R" * 200_000),
    "memo at the end of the world": pickled(b"Nr\xff\xff\xff\x7f" * 1000),
    "memo again and again": pickled(b"N" + b"\x94" * 200_000),
    "many sets": pickled(b"\x8f" * 200_000),
    "many lists": pickled(b"]" * 200_000),
    "doubling": pickled(b"]q\x00" + b"(h\x00" + b"2" * 100_000 + b"e" + b"h\x002\x86" * 30),
    "tuples of tuples": pickled(b"N" + b"2\x86" * 120_000),
    "billion laughs": pickled(b"N" + b"2\x86" * 200_000),
    "dictionaries again": pickled(b"}q\x00(" + b"K\x01N" * 100_000 + b"u" + b"h\x00" * 100_000),
    "pairs copied": pickled(
        b"]("
        + b"NN\x86" * 20_000
        + b"eq\x01"
        + (name("collections", "OrderedDict") + b"h\x01\x85R") * 2_000
    ),
    "text copied": pickled(
        text("x" * 120_000) + b"q\x01" + text("latin1") + b"q\x02",
        (name("_codecs", "encode") + b"h\x01h\x02\x86R") * 20_000,
    ),
    "colliding keys": pickled(
        b"}(" + b"".join(whole(k * (2**61 - 1)) + b"N" for k in range(1, 20_000)) + b"u"
    ),
    "huge integer": pickled(b"\x8b" + struct.pack("<I", 2**22) + b"\x7f" * 2**22),
    "integer longer than the file": pickled(b"\x8b\xff\xff\xff\x7f\x01"),
    "text longer than the file": pickled(b"\x8d" + struct.pack("<Q", 2**62)),
    "bytes longer than the file": pickled(b"\x8e" + struct.pack("<Q", 2**40)),
    "bytearray longer than the file": pickled(b"\x96" + struct.pack("<Q", 2**40)),
    "frame longer than the file": pickled(b"\x95" + struct.pack("<Q", 2**62) + b"N"),
    "endless name": pickled(b"c" + b"x" * 120_000),
}


LOADER = """
import json, resource, sys, time
from lstm_cli.errors import ModelFileError
from lstm_cli.formats import load
import lstm_cli.formats.pytorch

found, before = {}, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    started = time.monotonic()
    try:
        load(path)
        outcome = "loaded"
    except ModelFileError as error:
        outcome = str(error)
    found[path] = outcome, time.monotonic() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps([found, peak * 1024]))
"""


def outcomes(*paths: Path) -> tuple[dict[Path, tuple[str, float]], int]:
    """What became of files, the seconds each took, and the memory taken, in a process of its own.

    On macOS ``ru_maxrss`` counts bytes, so that the memory comes out far too large there.
    """
    run = [sys.executable, "-c", LOADER, *map(str, paths)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300, check=True, cwd=ROOT)
    found, peak = json.loads(done.stdout)
    return {Path(path): tuple(outcome) for path, outcome in found.items()}, peak


def test_bombs(tmp_path: Path) -> None:
    """One sentence each, in seconds and in memory that the size of the file bounds."""
    files = [
        archive(tmp_path / f"{k}.pt", bomb, {}, packed=bool(k % 2))
        for k, bomb in enumerate(BOMBS.values())
    ]
    found, peak = outcomes(*files)
    for bomb_name, (outcome, seconds) in zip(BOMBS, found.values(), strict=True):
        assert (
            "no PyTorch tensors" in outcome
            or "damaged" in outcome
            or "its size" in outcome
            or ("nested" in outcome)
        ), (bomb_name, outcome)
        assert len(outcome) < 600, bomb_name
        assert seconds < SECONDS, bomb_name
    assert peak < MEMORY


def test_a_packed_bomb_is_refused_by_what_it_makes(tmp_path: Path) -> None:
    """40 MB of opcodes packed into 40 kB: stopped by the file's own size, not by the pickle's."""
    path = archive(tmp_path / "packed.pt", pickled(b"]" * 40_000_000), {}, packed=True)
    assert path.stat().st_size < 100_000
    found, peak = outcomes(path)
    assert "its size" in found[path][0]
    assert peak < MEMORY


def test_shared_objects_are_walked_once(tmp_path: Path) -> None:
    """Dictionaries that hold one another twice, 60 levels deep: 2⁶⁰ paths, 60 objects."""
    levels = b"".join(
        b"}("
        + text("a")
        + b"h"
        + bytes([k])
        + text("b")
        + b"h"
        + bytes([k])
        + b"uq"
        + bytes([k + 1])
        for k in range(60)
    )
    weights = mapping({"weight_ih_l0": tensor(storage("0", 8), (4, 2))})
    path = archive(tmp_path / "m.pt", pickled(weights + b"q\x00" + levels), {"0": bytes(32)})
    model = lstm_cli.load(path)
    assert [layer.address for layer in model.layers] == ["lstm"]


def test_a_model_that_its_optimizer_refers_to(tmp_path: Path) -> None:
    """The same object first below 'optimizer' and then as the model is the model."""
    weights = mapping({"weight_ih_l0": tensor(storage("0", 8), (4, 2))}) + b"q\x00"
    both = b"}(" + text("optimizer") + b"]" + weights + b"a" + text("model") + b"h\x00u"
    model = lstm_cli.load(archive(tmp_path / "m.pt", pickled(both), {"0": bytes(32)}))
    assert [layer.address for layer in model.layers] == ["lstm"]


def test_a_dictionary_in_itself(tmp_path: Path) -> None:
    own = b"}q\x00(" + text("self") + b"h\x00" + text("w") + tensor(storage("0", 2), (2,)) + b"u"
    model = lstm_cli.load(archive(tmp_path / "m.pt", pickled(own), {"0": bytes(8)}))
    assert [layer.address for layer in model.layers] == ["w"]


def test_nesting_is_bounded(tmp_path: Path) -> None:
    deep = b"".join(b"}" + text("d") for _ in range(3000)) + b"N" + b"s" * 3000
    path = archive(tmp_path / "m.pt", pickled(deep), {})
    with pytest.raises(lstm_cli.ModelFileError, match="nested more than 100 deep"):
        lstm_cli.load(path)


# -- any bytes at all

REAL = [
    *(GOLDEN / "sd_bi2.pt", GOLDEN / "script.pt", GOLDEN / "whole_module.pt"),
    *(GOLDEN / "sd_quant_dynamic.pt", MADE / "checkpoint.tar", MADE / "protocol5.pt"),
]
STREAMS = [
    *(GOLDEN / "sd_legacy.pt", GOLDEN / "whole_lstm_legacy.pt"),
    *(MADE / "plain_pickle.pkl", MADE / "plain_pickle2.pkl", MADE / "own_class_stream.pt"),
]


def a_value_or_problem(data: bytes) -> None:
    with contextlib.suppress(Problem):
        read(data)


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=200))
@example(b"")
@example(b"\x80")
@example(b".")
@example(b"\x80\x02(.")
def test_any_bytes(data: bytes) -> None:
    a_value_or_problem(data)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(sorted(OPCODES)).map(lambda code: bytes([code])),
            st.binary(max_size=3),
            st.sampled_from(sorted(CALLS)).map(lambda call: name(*call)),
            st.sampled_from([b")", b"N", b"]", b"}", b"K\x01", text("k"), b"h\x00", b"q\x00"]),
            st.just(storage("0", 4)),
        ),
        max_size=60,
    )
)
def test_any_opcodes(parts: list[bytes]) -> None:
    """Programs of real opcodes, which come further than random bytes do."""
    a_value_or_problem(b"\x80\x02" + b"".join(parts) + b".")


def pickle_in(path: Path) -> bytes:
    with zipfile.ZipFile(path) as file:
        return file.read(next(m for m in file.namelist() if m.endswith("data.pkl")))


def changed(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for at, length, content in changes:
        start = at % (len(data) + 1)
        data = data[:start] + content + data[start + length :]
    return data


CHANGES = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(0, 4), st.binary(max_size=4)),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=80)
@given(path=st.sampled_from(REAL), changes=CHANGES)
def test_changed_pickles_of_archives(
    tmp_path_factory: pytest.TempPathFactory, path: Path, changes: list[tuple[int, int, bytes]]
) -> None:
    target = tmp_path_factory.getbasetemp() / "changed.pt"
    edited(path, target, {"data.pkl": lambda data: changed(data, changes)})
    loads_or_refuses(target)


@settings(deadline=None, max_examples=80)
@given(path=st.sampled_from(STREAMS), changes=CHANGES, cut=st.integers(0, 10**6))
def test_changed_streams(
    tmp_path_factory: pytest.TempPathFactory,
    path: Path,
    changes: list[tuple[int, int, bytes]],
    cut: int,
) -> None:
    target = tmp_path_factory.getbasetemp() / "changed.pkl"
    data = changed(path.read_bytes(), changes)
    target.write_bytes(data[:cut] if cut % 3 == 0 else data)
    loads_or_refuses(target)


def loaded(path: Path) -> lstm_cli.Model | None:
    """The model, or None for a file that is refused; any other error is the test's."""
    with contextlib.suppress(lstm_cli.ModelFileError):
        return lstm_cli.load(path)
    return None


def loads_or_refuses(path: Path) -> None:
    model = loaded(path)
    assert model is None or model.layers


def test_every_opcode_of_protocols_2_to_5_is_read() -> None:
    """Those of protocols 0 and 1 that are text, extensions and buffers outside are not."""
    known = {opcode.code.encode("latin-1")[0] for opcode in pickletools.opcodes}
    left = {
        opcode.name
        for opcode in pickletools.opcodes
        if opcode.code.encode("latin-1")[0] not in OPCODES
    }
    assert set(OPCODES) <= known
    assert left == {
        *("INT", "LONG", "STRING", "FLOAT", "UNICODE", "PERSID", "INST", "GET", "PUT", "STOP"),
        *("EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"),
    }


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_are_pythons(protocol: int) -> None:
    """Numbers, texts, bytes and containers as Python's own pickle reads them."""
    value = {
        "numbers": [0, 1, -1, 255, 65536, -(2**40), 2**300, 1.5, float("inf"), True, None],
        "text": ["", "é", "\U0001f600", "x" * 300],
        "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
        3: {"nested": {"deep": [[], {}]}},
    }
    assert read(pickle.dumps(value, protocol=protocol)) == value
    content = read(pickle.dumps({"bytes": b"\x00\xff" * 200}, protocol=protocol))["bytes"]
    assert bytes(content) == b"\x00\xff" * 200


def test_a_state_dict_made_by_hand(tmp_path: Path) -> None:
    """The helpers of this module write what the reader reads: weights come out as they went in."""
    arrays = lstm_arrays(3, 2, 2, both=True)
    model = lstm_cli.load(state_dict(tmp_path / "m.pt", arrays))
    recurrent = model.find("lstm").recurrent
    assert recurrent is not None
    cells = {part: cell for part, _, cell in recurrent.cells()}
    np.testing.assert_array_equal(cells["l1/backward"].kernel, arrays["weight_ih_l1_reverse"].T)
    np.testing.assert_array_equal(cells["l0/forward"].recurrent_kernel, arrays["weight_hh_l0"].T)
