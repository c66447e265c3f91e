"""Models that cannot be read or run: one sentence, exit code 2, and nothing half-written."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from cli_runs import GOLDEN, SAMPLES, Cli, load_npz
from keras_files import layer, random_lstm, sequential, write_hdf5
from keras_files import lstm as lstm_layer

INPUT = SAMPLES / "three_steps.csv"
WEIGHTS = GOLDEN / "keras2" / "k2.0.0_theano_seq_emb.weights.h5"
COMMANDS: tuple[Sequence[object], ...] = (
    ["inspect"],
    ["weights"],
    ["run", INPUT],
    ["states", INPUT],
)


def refusal(lstm: Cli, command: Sequence[object], model: object) -> str:
    name, *inputs = command
    return lstm(name, model, *inputs).refusal()


@pytest.mark.parametrize("name", ["three_steps.h5", "three_steps.keras"])
def test_a_model_cut_short_anywhere(lstm: Cli, name: str) -> None:
    content = (SAMPLES / name).read_bytes()
    path = Path(f"cut_{name}")
    lengths = [0, 1, 7, 8, 100, *range(500, len(content), 1511), len(content) - 1]
    for length in lengths:
        path.write_bytes(content[:length])
        for command in (["inspect"], ["states", INPUT]):
            message = refusal(lstm, command, path)
            assert message.startswith(f"{path}: "), (length, message)


@pytest.mark.parametrize("seed", range(8))
def test_a_model_with_damage_inside(lstm: Cli, seed: int) -> None:
    """Whatever is overwritten, the answer is a sentence, or numbers where only numbers changed."""
    numbers = np.random.default_rng(seed)
    for name in ("three_steps.h5", "three_steps.keras"):
        content = bytearray((SAMPLES / name).read_bytes())
        for place in numbers.integers(0, len(content), 20):
            content[place] = numbers.integers(256)
        Path(name).write_bytes(content)
        done = lstm("states", name, INPUT)
        if done.code:
            done.refusal()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"hello, I am text\n" * 20, "text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "no reader knows it"),
        (bytes(1000), "no reader knows it"),
        (b"", "the file is empty"),
        (b"\x89HDF\r\n\x1a\n" + bytes(3000), "damaged or cut short"),
        (b"PK\x03\x04" + bytes(1000), "damaged or cut short"),
    ],
)
@pytest.mark.parametrize("name", ["model.h5", "model.keras"])
def test_files_that_are_no_models_whatever_their_name(
    lstm: Cli, content: bytes, what: str, name: str
) -> None:
    Path(name).write_bytes(content)
    for command in COMMANDS:
        message = refusal(lstm, command, name)
        assert message.startswith(f"{name}: ")
        assert what in message


def test_a_bomb_is_not_unpacked(lstm: Cli) -> None:
    """A megabyte of zeros a thousand times over, in a file of a few kilobytes."""
    with zipfile.ZipFile("bomb.keras", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        archive.writestr("config.json", json.dumps(sequential(lstm_layer("lstm", 1))))
        with archive.open("model.weights.h5", "w") as member:
            for _ in range(64):
                member.write(bytes(2**20))
    content = bytearray(Path("bomb.keras").read_bytes())
    directory = content.index(b"PK\x01\x02", content.rindex(b"model.weights.h5") - 60)
    content[directory + 24 : directory + 28] = (2**32 - 2).to_bytes(4, "little")  # unpacked size
    Path("bomb.keras").write_bytes(content)

    message = lstm("states", "bomb.keras", INPUT).refusal()
    assert message.startswith("bomb.keras: ")


def test_missing_files_and_folders(lstm: Cli) -> None:
    Path("empty").mkdir()
    for command in COMMANDS:
        assert refusal(lstm, command, "no.keras") == "no.keras: No such file or directory"
        assert refusal(lstm, command, "empty").startswith(
            "empty: the directory holds no config.json"
        )


def test_arguments_the_wrong_way_round(lstm: Cli) -> None:
    message = lstm("states", INPUT, SAMPLES / "three_steps.keras").refusal()
    assert message.startswith(f"{INPUT}: no reader knows it by its content: it is plain text")


def test_a_model_without_an_lstm(lstm: Cli) -> None:
    dense = layer("Dense", "dense", units=2, activation="linear", use_bias=False)
    groups = {"dense": {"kernel": np.eye(3, 2, dtype=np.float32)}}
    write_hdf5(Path("m.h5"), sequential(dense), groups)
    np.save("x.npy", np.zeros((2, 3)))

    for command in (["states", "x.npy"], ["gates", "x.npy"], ["weights"]):
        assert refusal(lstm, command, "m.h5") == "m.h5 has no LSTM layer; it holds: Dense"
    assert lstm("inspect", "m.h5").code == 0
    assert lstm("run", "m.h5", "x.npy").succeeded().table.values.shape == (2, 3)


def test_other_recurrent_layers_run_but_have_no_trace(lstm: Cli) -> None:
    numbers = np.random.default_rng(0)
    kernels = {
        name: numbers.normal(size=shape).astype(np.float32)
        for name, shape in (("kernel", (3, 2)), ("recurrent_kernel", (2, 2)), ("bias", (2,)))
    }
    simple = layer("SimpleRNN", "rnn", units=2, activation="tanh", use_bias=True)
    names = ("kernel", "recurrent_kernel", "bias")
    above = dict(zip(names, random_lstm(0, 2, 2), strict=True))
    simple["config"]["return_sequences"] = True
    model = sequential(simple, lstm_layer("lstm", 2))
    write_hdf5(Path("m.h5"), model, {"rnn": kernels, "lstm": above})
    np.save("x.npy", np.ones((1, 3)))

    assert lstm("states", "m.h5", "x.npy", "--layer", "rnn").refusal() == (
        "layer 'rnn' (SimpleRNN) has no LSTM gates or cell state to trace (LSTM layers: lstm); "
        "'lstm run --layer rnn' shows what it returns"
    )
    table = lstm("run", "m.h5", "x.npy", "--layer", "rnn").table
    expected = np.tanh(kernels["kernel"].sum(axis=0) + kernels["bias"])  # x is one everywhere
    np.testing.assert_allclose(table.columns("output")[0], expected, rtol=0, atol=1e-6)


def test_everything_unsupported_is_named_at_once(lstm: Cli) -> None:
    """And only what the asked-for layer depends on."""
    names = ("kernel", "recurrent_kernel", "bias")
    model = sequential(
        layer("Lambda", "first", function=["x", None, None], function_type="lambda"),
        lstm_layer("low", 3),
        layer("MyOwnLayer", "second"),
        lstm_layer("high", 2),
    )
    groups = {
        "first": {},
        "low": dict(zip(names, random_lstm(0, 3, 3), strict=True)),
        "second": {},
        "high": dict(zip(names, random_lstm(1, 3, 2), strict=True)),
    }
    write_hdf5(Path("m.h5"), model, groups)
    np.save("x.npy", np.zeros((4, 3)))

    low = lstm("states", "m.h5", "x.npy", "--layer", "low").refusal()
    both = [
        lstm("states", "m.h5", "x.npy", "--layer", "high").refusal(),
        lstm("run", "m.h5", "x.npy").refusal(),
        lstm("export", "m.h5", "x.npy", "-o", "t.npz").refusal(),
    ]

    assert "'first' (Lambda)" in low
    assert "second" not in low
    for message in both:
        assert "'first' (Lambda)" in message
        assert "'second' (MyOwnLayer)" in message
    assert len(json.loads(lstm("inspect", "m.h5", "--json").text)["outputs"]) == 1
    direct = lstm("states", "m.h5", "x.npy", "--layer", "low", "--direct").succeeded()
    assert direct.table.values.shape == (4, 7)
    assert not Path("t.npz").exists()


def test_weights_alone_have_no_graph(lstm: Cli) -> None:
    np.save("x.npy", np.zeros((2, 4), np.float32))
    for command in (["run", "x.npy"], ["states", "x.npy"]):
        message = refusal(lstm, command, WEIGHTS)
        assert message.startswith(f"{WEIGHTS}: the file holds weights alone; choose one layer ")
        assert "--layer … --direct, or give its graph with --architecture FILE.json" in message


def test_weights_alone_run_directly_and_say_what_is_assumed(lstm: Cli) -> None:
    stem = Path(str(WEIGHTS).removesuffix(".weights.h5"))
    facts = json.loads(lstm("inspect", WEIGHTS, "--json").text)
    first = next(entry for entry in facts["layers"] if entry["lstm"])
    np.save("ids.npy", load_npz(Path(f"{stem}.npz"))["x0"])
    architecture = ["--architecture", f"{stem}.json", "--layer", first["address"]]
    lstm("export", WEIGHTS, "ids.npy", *architecture, "--with-input", "-o", "whole.npz")
    whole = load_npz(Path("whole.npz"))
    np.save("x.npy", whole["x"])
    np.save("mask.npy", whole["mask"])

    options = ["--layer", first["address"], "--mask", "mask.npy"]
    direct = lstm("states", WEIGHTS, "x.npy", *options, "-o", "direct.npz")

    assert direct.code == 0
    assert any("hard_sigmoid" in note for note in direct.notes)
    np.testing.assert_array_equal(load_npz(Path("direct.npz"))["h"], whole["h"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--architecture", "no.json"], "--architecture no.json: No such file or directory"),
        (["--architecture", str(INPUT)], None),
        (["--recurrent-activation", "nope"], None),
        (["--hard-sigmoid", "7"], None),
    ],
)
def test_what_is_said_about_a_file_must_make_sense(
    lstm: Cli, options: list[str], message: str | None
) -> None:
    found = lstm("run", WEIGHTS, INPUT, *options).refusal()
    assert found == message if message else options[1] in found


def test_what_a_file_says_itself_needs_override(lstm: Cli) -> None:
    model = SAMPLES / "three_steps.keras"
    options = ["--recurrent-activation", "hard_sigmoid"]
    assert lstm("states", model, INPUT, *options).refusal() == (
        f"{model} says itself what --recurrent-activation would say; add --override to use yours "
        "instead"
    )
    keras2 = lstm("gates", model, INPUT, *options, "--override", "--hard-sigmoid", "0.2").table
    keras3 = lstm("gates", model, INPUT, *options, "--override", "--hard-sigmoid", "1/6").table
    before = lstm("gates", model, INPUT, "--tensors", "z_i").table.columns("z_i")[0, 0]

    # At the first step nothing depends on an earlier gate, so the formulas can be applied.
    np.testing.assert_allclose(keras2.columns("i")[0, 0], 0.2 * before + 0.5, rtol=0, atol=1e-6)
    np.testing.assert_allclose(keras3.columns("i")[0, 0], before / 6 + 0.5, rtol=0, atol=1e-6)


def test_a_very_wide_layer(lstm: Cli) -> None:
    names = ("kernel", "recurrent_kernel", "bias")
    units = 1500
    arrays = [np.zeros((3, 4 * units)), np.zeros((units, 4 * units)), np.ones(4 * units)]
    groups = {"lstm": dict(zip(names, (a.astype(np.float32) for a in arrays), strict=True))}
    write_hdf5(Path("m.h5"), sequential(lstm_layer("lstm", units)), groups)
    np.save("x.npy", np.zeros((2, 3), np.float32))

    table = lstm.csv("states", "m.h5", "x.npy", "--units", "0,1499")

    gate, candidate = 1 / (1 + np.exp(-1)), np.tanh(1)
    c = np.array([gate * candidate, gate * gate * candidate + gate * candidate])
    np.testing.assert_allclose(table.columns("c"), np.stack([c, c], axis=1), rtol=0, atol=1e-6)


def test_an_error_inside_says_that_it_is_one(lstm: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("split\nin two")

    monkeypatch.setattr("lstm_cli.api.load_file", broken)
    done = lstm("inspect", SAMPLES / "three_steps.keras")

    assert (done.code, done.out) == (2, b"")
    assert done.err == (
        "error: this is an error in lstm itself: RuntimeError: split in two. Please report it with "
        "the command and, if you can, the file; LSTM_DEBUG=1 shows where it happened\n"
    )
    monkeypatch.setenv("LSTM_DEBUG", "1")
    with pytest.raises(RuntimeError, match="split"):
        lstm("inspect", SAMPLES / "three_steps.keras")


def test_no_memory_is_a_sentence_too(lstm: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr("lstm_cli.api.load_file", hungry)
    assert lstm("inspect", SAMPLES / "three_steps.keras").refusal() == (
        "out of memory; --batch-size computes fewer sequences at once"
    )
