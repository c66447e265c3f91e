"""Traces that are damaged or made to do harm: the right numbers, or one sentence."""

from __future__ import annotations

import io
import json
import random
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from cli_runs import SAMPLES, Cli, Ran
from damage import Damage, archives, hdf5_nodes, raw_bytes

MODEL, INPUT = SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.npy"
WHOLE = ("--with-input", "--with-weights", "--pre-activation")
EVIL = "\x1b]0;evil\x07\u202e"

Arrays = dict[str, Any]


@cache
def exported(form: str) -> bytes:
    """Both cells of a layer over six sequences with masked steps, as ``export`` writes them."""
    path = Path("exported").with_suffix(f".{form}")
    Cli()("export", MODEL, INPUT, "--layer", "bottom", *WHOLE, "-o", path).succeeded()
    return path.read_bytes()


@cache
def contents() -> tuple[Arrays, dict[str, Any]]:
    with np.load(io.BytesIO(exported("npz"))) as found:
        arrays = dict(found)
    return arrays, json.loads(str(arrays.pop("meta")))


def write(path: Path, arrays: Arrays, meta: Any, **settings: Any) -> Path:
    text = meta if isinstance(meta, str) else json.dumps(meta)
    if path.suffix == ".npz":
        np.savez(path, **arrays, meta=np.array(text))
        return path
    with h5py.File(path, "w", track_order=True) as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, **(settings if np.ndim(array) > 1 else {}))
        file["meta"] = text
    return path


def commands(path: Path) -> list[tuple[object, ...]]:
    cell = ("--cell", "backward")
    return [
        ("stats", path),
        ("why", path, *cell, "--unit", 0, "--json"),
        ("why", path, *cell, "--unit", 1, "--gate", "f", "--step", 2, "--json"),
        ("view", path, *cell, "--json"),
        ("plot", path, "--json"),
        ("find", path, "--layer", "forward", "--range", "1:3", "--left", 0),
        ("diff", path, path),
    ]


def checked(ran: Ran) -> Ran:
    """A run that ends as it may: with a result, or with one sentence that a terminal can show."""
    assert ran.code in (0, 1, 2), ran.err
    if ran.code == 2:
        ran.refusal()
    assert "\x1b" not in ran.err + ran.text
    return ran


# -- arrays and facts that do not go together

SHAPE, META = "expected shape", "'meta' is not what lstm export writes"
ARRAYS: dict[str, tuple[Callable[[Arrays], Arrays], str]] = {
    "another step": (lambda a: {"forward/c": a["forward/c"][:, :-1]}, SHAPE),
    "another unit": (lambda a: {"backward/f": a["backward/f"][..., :-1]}, SHAPE),
    "another sequence": (lambda a: {"backward/initial_c": a["backward/initial_c"][1:]}, SHAPE),
    "a flat mask": (lambda a: {"mask": a["mask"].ravel()}, SHAPE),
    "a longer input": (lambda a: {"x": np.repeat(a["x"], 2, axis=1)}, SHAPE),
    "a state as a number": (lambda a: {"forward/final_h": np.float32(1)}, SHAPE),
    "lengths beyond the steps": (lambda a: {"lengths": np.full(6, 10**9)}, "lengths from 0 to 10"),
    "negative lengths": (lambda a: {"lengths": np.full(6, -1)}, "lengths from 0 to 10, found -1"),
    "lengths of no number": (lambda a: {"lengths": np.full(6, np.nan)}, "expected whole numbers"),
    "a mask of twos": (lambda a: {"mask": np.full((6, 10), 2)}, "expected true and false"),
    "whole numbers": (lambda a: {"forward/h": a["forward/h"].astype(int)}, "floating-point"),
    "truth": (lambda a: {"backward/i": a["backward/i"] > 0}, "floating-point"),
    "complex numbers": (lambda a: {"forward/g": a["forward/g"] + 1j}, "numbers"),
    "no steps": (lambda a: {n: v[:, :0] for n, v in a.items() if v.ndim == 3}, "holds no values"),
    "no units": (lambda a: {"forward/h": a["forward/h"][..., :0]}, "holds no values"),
    "a name without a part": (lambda a: {"/h": a["forward/h"]}, "lacks a part"),
    "a name for terminals": (lambda a: {f"{EVIL}/h": a["forward/h"]}, "control characters"),
}
FACTS: dict[str, tuple[Any, str]] = {
    "a list": ([], META),
    "cut short": ('{"layers": [', META),
    "nested": ("[" * 100_000 + "]" * 100_000, META),
    "layers as a text": ({"layers": "x"}, META),
    "an unknown direction": ({"layers": [{"direction": "up"}] * 2}, META),
    "a clip as a text": ({"layers": [{"cell_clip": "3"}] * 2}, META),
    "sequences as a number": ({"sequences": 3}, META),
    "names of other sequences": ({"sequences": ["a"]}, "names 1 sequences, and the trace has 6"),
    "a step beyond all": ({"first_step": 10**30}, META),
    "units that are not there": ({"kept_units": [1, 2]}, "names 2 units, and the trace has 6"),
    "nothing": ({}, "facts of 1 of 2 cells"),
    "another cell": ({"layers": [{"part": "forward"}] * 2}, "says nothing about cell 'backward'"),
}


@pytest.mark.parametrize("form", ["npz", "h5"])
@pytest.mark.parametrize("what", ARRAYS)
def test_arrays_that_do_not_fit(lstm: Cli, tmp_path: Path, what: str, form: str) -> None:
    arrays, meta = contents()
    change, expected = ARRAYS[what]
    if form == "h5" and what == "a name without a part":
        pytest.skip("HDF5 has no such names")
    path = write(tmp_path / f"t.{form}", {**arrays, **change(arrays)}, meta)
    for command in commands(path)[:4]:
        assert expected in lstm(*command).refusal()


@pytest.mark.parametrize("what", FACTS)
def test_facts_that_cannot_be(lstm: Cli, tmp_path: Path, what: str) -> None:
    arrays, meta = contents()
    given, expected = FACTS[what]
    facts = {**meta, **given} if isinstance(given, dict) and given else given
    path = write(tmp_path / "t.npz", arrays, facts)
    for command in commands(path)[:4]:
        assert expected in lstm(*command).refusal()


def test_text_in_facts_cannot_reach_the_terminal(lstm: Cli, tmp_path: Path) -> None:
    arrays, meta = contents()
    layers = [{**facts, "layer": EVIL, "kind": EVIL} for facts in meta["layers"]]
    facts = {**meta, "layers": layers, "source": EVIL, "sequences": [EVIL] * 6}
    path = write(tmp_path / "t.npz", arrays, facts)
    for command in commands(path):
        ran = checked(lstm(*command))
        assert ran.code == 0, ran.err
        assert not set(EVIL) & set("\x1b\x07\u202e") & set(ran.text)


def test_missing_states_are_asked_for(lstm: Cli, tmp_path: Path) -> None:
    """A trace with the state before but not the one after explains every step but none less."""
    arrays, meta = contents()
    for gone in ("initial_h", "final_h", "final_c"):
        kept = {n: a for n, a in arrays.items() if not n.endswith(gone)}
        path = write(tmp_path / "t.npz", kept, meta)
        gate = ("why", path, "--cell", "forward", "--unit", 0, "--gate", "f", "--step")
        ran = lstm(*gate, 0)
        if gone == "initial_h":
            assert "lacks initial_h" in ran.refusal()
        else:
            assert ran.code == 0, ran.err
        assert lstm(*gate, 1).code == 0


# -- the same numbers in another form


@pytest.mark.parametrize("form", ["big-endian", "columns", "packed", "packed h5", "chunks"])
def test_other_forms_of_the_same_numbers(lstm: Cli, tmp_path: Path, form: str) -> None:
    arrays, meta = contents()
    plain = write(tmp_path / "plain.npz", arrays, meta)
    path = tmp_path / ("t.h5" if form in ("packed h5", "chunks") else "t.npz")
    if form == "big-endian":
        write(path, {n: a.astype(">f4") if a.dtype == "f4" else a for n, a in arrays.items()}, meta)
    elif form == "columns":
        write(path, {n: np.asfortranarray(a) for n, a in arrays.items()}, meta)
    elif form == "packed":
        np.savez_compressed(path, **arrays, meta=np.array(json.dumps(meta)))
    else:
        settings = {"compression": "gzip", "shuffle": True} if form == "packed h5" else {}
        write(path, arrays, meta, chunks=True, **settings)
    for command, expected in zip(commands(path)[:3], commands(plain)[:3], strict=True):
        assert lstm(*command).succeeded().out == lstm(*expected).succeeded().out


# -- containers that lie


def hdf5(path: Path, make: Callable[[Any], Any]) -> Path:
    arrays, meta = contents()
    write(path, {n: a for n, a in arrays.items() if n != "x"}, meta)
    with h5py.File(path, "a") as file:
        make(file)
    return path


def zeros_of_one_chunk(file: Any) -> None:
    """512 MB of zeros in a chunk that is never unpacked."""
    data = file.create_dataset("x", (2**24, 8), "f4", chunks=(2**24, 8), compression="gzip")
    data.id.write_direct_chunk((0, 0), zlib.compress(bytes(1 << 20)))


BIG = (10**9, 64)
LIES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "external": (lambda f: f.create_dataset("x", (6, 10, 5), "f4", external="x"), "another file"),
    "link": (lambda f: f.__setitem__("x", h5py.ExternalLink("other.h5", "x")), "not followed"),
    "cycle": (lambda f: f["forward"].__setitem__("up", f["/"]), "not what lstm export writes"),
    "type": (lambda f: f.__setitem__("x", np.dtype("f4")), "expected an array of numbers"),
    "never written": (lambda f: f.create_dataset("x", BIG, "f4", chunks=(64, 64)), "not hold all"),
    "fill value": (
        lambda f: f.create_dataset(
            "x", BIG, "f4", chunks=(64, 64), compression="gzip", fillvalue=1
        ),
        "not hold all",
    ),
    "zeros": (zeros_of_one_chunk, "not hold all"),
}


@pytest.mark.parametrize("what", LIES)
def test_hdf5_files_that_lie(lstm: Cli, tmp_path: Path, what: str) -> None:
    make, expected = LIES[what]
    path = hdf5(tmp_path / "t.h5", make)
    tracemalloc.start()
    try:
        assert expected in lstm("stats", path).refusal()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32 << 20  # 24 MiB of it are never used


def test_a_changed_number_is_noticed(lstm: Cli, tmp_path: Path) -> None:
    """Also one far behind the bytes that are read with the header."""
    h = np.random.default_rng(0).standard_normal((4000, 8)).astype(np.float32)
    path = write(tmp_path / "t.npz", {"h": h}, {"layer": "l"})
    content = bytearray(path.read_bytes())
    content[content.find(h[-1].tobytes())] ^= 1
    path.write_bytes(content)
    assert "its checksum is wrong" in lstm("plot", path).refusal()


def test_more_than_deflate_can_pack_is_not_unpacked(lstm: Cli, tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    np.savez_compressed(path, h=np.zeros((50_000, 8), np.float32), meta=np.array("{}"))
    declared = zipfile.ZipFile(path).getinfo("h.npy").file_size.to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(declared, (1 << 30).to_bytes(4, "little")))
    assert "more than it can" in lstm("plot", path).refusal()


def test_what_cannot_be_opened_is_said_to_be_damaged(lstm: Cli, tmp_path: Path) -> None:
    for form, reason in (("npz", "the archive is damaged"), ("h5", "damaged or cut short")):
        path = tmp_path / f"t.{form}"
        path.write_bytes(exported(form)[:600])
        assert reason in lstm("stats", path).refusal()


# -- damage by chance


@pytest.mark.parametrize("form", ["npz", "h5"])
def test_random_damage_to_traces(lstm: Cli, tmp_path: Path, form: str) -> None:
    """An .npz has checksums: what is read from it all the same is what was written."""
    whole, path = exported(form), tmp_path / f"t.{form}"
    path.write_bytes(whole)
    expected = [lstm(*command).out for command in commands(path)]
    of_bytes: tuple[Damage, ...] = (raw_bytes.cut, raw_bytes.flipped, raw_bytes.word_early)
    kinds = (*of_bytes, *(archives.DAMAGES if form == "npz" else hdf5_nodes.DAMAGES))
    codes = []
    for seed in range(40):
        chance, damage = random.Random(seed), kinds[seed % len(kinds)]
        try:
            path.write_bytes(damage(whole, chance))
        except (ValueError, TypeError, KeyError, OSError):
            continue
        number = seed % len(expected)
        ran = checked(lstm(*commands(path)[number]))
        codes.append(ran.code)
        if form == "npz" and damage in of_bytes and ran.code == 0:
            assert ran.out == expected[number]
    assert {0, 2} <= set(codes)
    assert len(codes) > 20
