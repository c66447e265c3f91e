"""Damaged files give a result or one sentence: no crash, no hang, no more memory than they may.

Every container is damaged in every way that goes with it, by seeds that never change, and given
both to the API and to the command line; ``mutations.py`` says how.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cli_runs import command, environment
from golden_files import ROOT
from keras_files import configs, edited
from mutations import CONTAINERS, PEAK, REMOVED, SECONDS, mutation, sources, targets

COUNT = 40
"""Mutations of each container: a few of every kind of damage."""
KERAS3 = ROOT / "tests" / "golden" / "keras" / "keras3"

Tallies = dict[str, "Future[dict[str, Any]]"]


def in_a_process(folder: Path, container: str) -> dict[str, Any]:
    """What becomes of the mutations of a container, in a process with bounded memory."""
    folder.mkdir()
    script = str(ROOT / "tests" / "mutations.py")
    done = subprocess.run(
        [sys.executable, script, str(folder), container, "0", str(COUNT)],
        env=environment(PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}"),
        capture_output=True,
        text=True,
        timeout=COUNT * SECONDS,
        check=False,
    )
    last = (folder / "last").read_text() if (folder / "last").exists() else "nothing"
    assert done.returncode == 0, f"died at {last}: {done.stderr[-2000:]}"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def tallies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tallies]:
    """The mutations of all containers, two processes at a time."""
    folder = tmp_path_factory.mktemp("mutations")
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(in_a_process, folder / name, name) for name in CONTAINERS}


@pytest.mark.parametrize("container", CONTAINERS)
def test_mutated_files(tallies: Tallies, container: str) -> None:
    """Bytes flipped, files cut, keys, members and arrays removed or changed: exit 0 or 2."""
    found = tallies[container].result()
    assert not found["wrong"], "\n".join(found["wrong"])
    assert found["memory"] < PEAK
    tried, outcomes = sum(found["kinds"].values()), found["outcomes"]
    assert tried >= 0.7 * COUNT  # the others could not be written down
    assert set(outcomes) <= KNOWN
    assert outcomes["exit 0"] >= 0.1 * tried  # mutations that reach the engine
    assert outcomes["exit 2"] >= 0.1 * tried  # and those that are refused


KNOWN = {
    *("ok", "exit 0", "exit 2", "ModelFileError", "MissingEntryError", "UnknownFormatError"),
    *("UnsupportedFeatureError", "InputError", "ShapeError", "UsageError", "MissingExtraError"),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_kind_of_damage_is_done(container: str) -> None:
    """There are files to damage, and nearly every kind of damage comes and does something."""
    found = sources(CONTAINERS[container])
    kinds = targets(found)
    done, changed = set(), 0
    for seed in range(COUNT):
        try:
            one = mutation(kinds, seed)
        except ValueError:
            continue
        if one.files != one.source.files:
            done.add(one.kind)
            changed += 1
    assert {"cut", "flipped", "flipped_early"} <= done
    assert (REMOVED in done) is any(len(source.files) > 1 for source in found)
    assert len(done) >= 0.8 * len(kinds), set(kinds) - done
    assert changed >= 0.7 * COUNT


def test_mutations_repeat_exactly() -> None:
    kinds = targets(sources(CONTAINERS["keras_hdf5"]))
    for seed in range(len(kinds)):
        with suppress(ValueError):  # damage that cannot be done
            # HDF5 notes the second in which it writes: a pair that straddles two is tried again.
            pairs = ((mutation(kinds, seed), mutation(kinds, seed)) for _ in range(3))
            assert any(first.files == second.files for first, second in pairs)


def test_a_process_shows_no_traceback(tmp_path: Path) -> None:
    """The program itself, started anew: exit code 0 or 2, one sentence, no control characters."""

    def rename(document: Any) -> None:
        configs(document)[0]["name"] = "\x1b[31m\ud800\n"

    renamed = edited(KERAS3 / "k3.15.1_tensorflow_td_lstm.keras", tmp_path, rename)
    damaged = [renamed]
    for container in ("keras_hdf5", "keras_archive"):
        kinds = targets(sources(CONTAINERS[container]))
        for seed in (0, 3):
            one = mutation(kinds, seed)
            damaged.append(one.write(tmp_path / f"{container}_{seed}"))
    for path in damaged:
        done = subprocess.run(
            command("inspect", path),
            env=environment(PYTHONIOENCODING="utf-8"),
            capture_output=True,
            timeout=30,
            check=False,
        )
        shown = done.stderr.decode() + done.stdout.decode()
        assert done.returncode in (0, 2), shown
        assert "Traceback" not in shown
        assert "error in lstm itself" not in shown
        assert "\x1b" not in shown
        if done.returncode == 2:
            assert done.stderr.decode().count("\n") == 1
