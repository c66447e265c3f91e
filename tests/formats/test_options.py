"""What the caller may say about a file, and when it needs to be said twice.

Expected numbers are the LSTM equations written out; 1e-5 is float32's rounding over a few steps.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_files import COMMITTED, FLOAT32, Array
from keras_files import (
    hard_sigmoid,
    layer,
    lstm,
    lstm_by_hand,
    path_weights,
    random_lstm,
    sequential,
    write_archive,
    write_hdf5,
)

import lstm_cli
from lstm_cli.model import LstmCell

ARRAYS = random_lstm(1, 3, 4)
GROUP = dict(zip("abc", ARRAYS, strict=True))
X = np.random.default_rng(5).normal(size=(2, 5, 3)).astype(np.float32)


def relu(z: Array) -> Array:
    return np.maximum(z, 0)


def weights_alone(folder: Path, version: str = "2.4.0") -> Path:
    return write_hdf5(folder / "w.h5", None, {"lstm": GROUP}, version)


def whole(folder: Path, version: str = "2.4.0", **config: Any) -> Path:
    return write_hdf5(
        folder / "m.h5", sequential(lstm("lstm", 4, **config)), {"lstm": GROUP}, version
    )


def check(path: Path, options: dict[str, Any], **expected: Any) -> lstm_cli.Model:
    model = lstm_cli.load(path, **options)
    trace = lstm_cli.trace(model, X, layer="lstm")
    by_hand = lstm_by_hand(X, *ARRAYS, **expected)
    for name, array in by_hand.items():
        np.testing.assert_allclose(
            trace.arrays[name], array, rtol=0, atol=FLOAT32 * max(1, np.abs(array).max())
        )
    return model


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {}),
        ({"recurrent_activation": "hard_sigmoid"}, {"gate": hard_sigmoid(0.2)}),
        (
            {"recurrent_activation": "hard_sigmoid", "hard_sigmoid": "1/6"},
            {"gate": hard_sigmoid(1 / 6)},
        ),
        (
            {"recurrent_activation": "hard_sigmoid", "hard_sigmoid": "0.2"},
            {"gate": hard_sigmoid(0.2)},
        ),
        ({"activation": "relu"}, {"act": relu}),
        ({"activation": "softsign"}, {"act": lambda z: z / (1 + np.abs(z))}),
    ],
    ids=["nothing", "hard_sigmoid", "1/6", "0.2", "relu", "softsign"],
)
def test_weights_alone_are_told(
    tmp_path: Path, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    model = check(weights_alone(tmp_path), options, **expected)
    told = [note for note in model.assumptions if "because you said so" in note]
    assert bool(told) == bool(options)


def test_what_was_told_is_no_assumption_any_more(tmp_path: Path) -> None:
    notes = lstm_cli.load(weights_alone(tmp_path)).assumptions
    assert any("recurrent activation" in note for note in notes)
    told = lstm_cli.load(weights_alone(tmp_path), recurrent_activation="sigmoid").assumptions
    assert not any("recurrent activation" in note for note in told)


@pytest.mark.parametrize(
    "options", [{"activation": "relu"}, {"recurrent_activation": "linear"}, {"hard_sigmoid": "1/6"}]
)
def test_a_file_that_says_so_itself_needs_override(tmp_path: Path, options: dict[str, Any]) -> None:
    path = whole(tmp_path)
    with pytest.raises(lstm_cli.UsageError, match="--override"):
        lstm_cli.load(path, **options)
    assert lstm_cli.load(path, **options, override=True).lstm_layers


def test_override(tmp_path: Path) -> None:
    check(whole(tmp_path), {"activation": "relu", "override": True}, act=relu)


@pytest.mark.parametrize(("version", "other"), [("2.2.4", "1/6"), ("3.15.1", "0.2")])
def test_hard_sigmoid_saved_again_by_keras_3(tmp_path: Path, version: str, other: str) -> None:
    """A Keras 2 model saved again by Keras 3 says 3.x: the switch gives the trained numbers."""
    path = whole(tmp_path, version, recurrent_activation="hard_sigmoid")
    slopes = {"0.2": 0.2, "1/6": 1 / 6}
    own = next(name for name in slopes if name != other)
    check(path, {}, gate=hard_sigmoid(slopes[own]))
    options = {"hard_sigmoid": other, "override": True}
    check(path, options, gate=hard_sigmoid(slopes[other]))


def test_hard_sigmoid_leaves_sigmoid_alone(tmp_path: Path) -> None:
    check(whole(tmp_path), {"hard_sigmoid": "1/6", "override": True})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hard_sigmoid": "0.3"}, "--hard-sigmoid: expected 0.2 or 1/6, found '0.3'"),
        ({"activation": "tanhh"}, "--activation: activation 'tanhh'"),
        ({"recurrent_activation": ""}, "--recurrent-activation: activation ''"),
    ],
)
def test_names_that_do_not_exist(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(lstm_cli.UsageError, match=message):
        lstm_cli.load(weights_alone(tmp_path), **options)


# -- architectures


def architecture(folder: Path, document: Any) -> Path:
    path = folder / "architecture.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@pytest.mark.parametrize("wrapped", [False, True], ids=["to_json", "with model_config around it"])
@pytest.mark.parametrize("layout", ["legacy", "paths"])
def test_architecture_gives_the_graph(tmp_path: Path, wrapped: bool, layout: str) -> None:
    kernel = np.ones((4, 2), np.float32)
    document: Any = sequential(
        lstm("lstm", 4), layer("Dense", "dense", units=2, use_bias=False, activation="linear")
    )
    if layout == "legacy":
        path = write_hdf5(tmp_path / "w.h5", None, {"lstm": GROUP, "dense": {"k": kernel}})
    else:
        path = tmp_path / "w.weights.h5"
        path.write_bytes(path_weights({"layers/lstm/cell": ARRAYS, "layers/dense": [kernel]}))
    file = architecture(tmp_path, {"model_config": document} if wrapped else document)
    model = lstm_cli.load(path, architecture=file)
    expected = lstm_by_hand(X, *ARRAYS)["h"] @ kernel
    np.testing.assert_allclose(lstm_cli.run(model, X), expected, rtol=0, atol=2 * FLOAT32)


def test_architecture_knows_the_version(tmp_path: Path) -> None:
    """``to_json`` of Keras 2 and 3 writes keras_version: it decides hard_sigmoid."""
    document = sequential(lstm("lstm", 4, recurrent_activation="hard_sigmoid"))
    for version, slope in (("2.9.0", 0.2), ("3.4.1", 1 / 6)):
        file = architecture(tmp_path, {**document, "keras_version": version})
        check(weights_alone(tmp_path, ""), {"architecture": file}, gate=hard_sigmoid(slope))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("[1]", "--architecture .*should be a JSON object"),
        ("{", "--architecture .*not valid JSON"),
        ("{}", "'class_name' of the model"),
        (json.dumps(sequential(lstm("a", 4), lstm("b", 4))), "2 layers with weights"),
        (json.dumps(sequential(lstm("a", 5))), "says 5 units, its arrays have 4"),
    ],
)
def test_architectures_that_do_not_fit(tmp_path: Path, document: str, message: str) -> None:
    with pytest.raises((lstm_cli.UsageError, lstm_cli.ModelFileError), match=message):
        lstm_cli.load(weights_alone(tmp_path), architecture=architecture(tmp_path, document))


def test_architecture_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(lstm_cli.UsageError, match=r"--architecture .*No such file"):
        lstm_cli.load(weights_alone(tmp_path), architecture=tmp_path / "no.json")


def test_whole_models_take_no_architecture(tmp_path: Path) -> None:
    file = architecture(tmp_path, sequential(lstm("lstm", 4)))
    archive = write_archive(
        tmp_path / "m.keras", sequential(lstm("lstm", 4)), {"layers/lstm/cell": ARRAYS}
    )
    for path in (whole(tmp_path), archive):
        with pytest.raises(lstm_cli.UsageError, match="leave out --architecture"):
            lstm_cli.load(path, architecture=file)


# -- custom classes


CUSTOM = COMMITTED / "keras3" / "k3.15.1_custom_class.keras"


def custom(class_name: str, module: str | None = None, registered: str | None = None) -> Any:
    """An LSTM layer of a custom class, as Keras 3 writes it."""
    return {**lstm(class_name.lower(), 4), "class_name": class_name, "module": module} | (
        {} if registered is None else {"registered_name": registered}
    )


def archive(folder: Path, *layers: Any) -> Path:
    tree = {f"layers/{entry['config']['name']}/cell": random_lstm(1, 3, 4) for entry in layers[:1]}
    tree |= {f"layers/{entry['config']['name']}/cell": random_lstm(2, 4, 4) for entry in layers[1:]}
    return write_archive(folder / "m.keras", sequential(*layers), tree)


def test_treat_as_lstm_takes_several(tmp_path: Path) -> None:
    one = custom("One", "mine.layers", "One")
    other = custom("Other", None, "pkg>Other")
    path = archive(tmp_path, one, other)
    assert not lstm_cli.load(path).lstm_layers
    model = lstm_cli.load(path, treat_as_lstm=["One", "pkg>Other"])
    assert [layer.address for layer in model.lstm_layers] == ["one", "other"]
    assert "One is read as an LSTM, because you said so" in model.assumptions
    by_hand = lstm_by_hand(X, *random_lstm(1, 3, 4))["h"]
    np.testing.assert_allclose(
        lstm_cli.trace(model, X, layer="one").h, by_hand, rtol=0, atol=FLOAT32
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("Other", "--treat-as-lstm Other: .* no custom class of that name; .* classes are: MyLSTM"),
        (["MyLSTM", "mylstm"], "--treat-as-lstm mylstm: "),
        ("Dense", "--treat-as-lstm Dense: "),
    ],
)
def test_treat_as_lstm_of_a_class_that_is_not_there(names: Any, message: str) -> None:
    with pytest.raises(lstm_cli.UsageError, match=message) as caught:
        lstm_cli.load(CUSTOM, treat_as_lstm=names)
    assert str(CUSTOM) in str(caught.value)


def test_treat_as_lstm_without_custom_classes(tmp_path: Path) -> None:
    """Keras's own classes are none: a GRU read as an LSTM would be a wrong number."""
    gru = {**lstm("gru", 4), "class_name": "GRU"}
    path = write_hdf5(tmp_path / "m.h5", sequential(lstm("lstm", 4), gru), {"lstm": GROUP})
    for name in ("GRU", "LSTM", "MyLSTM"):
        with pytest.raises(lstm_cli.UsageError, match=f"{name}: .*m.h5 has no layer of a custom"):
            lstm_cli.load(path, treat_as_lstm=name)


def test_treat_as_lstm_of_weights_alone(tmp_path: Path) -> None:
    """Weights do not name classes: legacy and path layout, and the class of a whole model."""
    (tmp_path / "p.h5").write_bytes(path_weights({"layers/lstm/cell": ARRAYS}))
    subclassed = COMMITTED / "keras3" / "k3.15.1_subclassed.keras"
    for path in (weights_alone(tmp_path), tmp_path / "p.h5"):
        with pytest.raises(lstm_cli.UsageError, match="does not name the classes of its layers"):
            lstm_cli.load(path, treat_as_lstm="MyLSTM")
    with pytest.raises(lstm_cli.UsageError, match="has no layer of a custom class"):
        lstm_cli.load(subclassed, treat_as_lstm="Sub")


@pytest.mark.parametrize(
    ("module", "registered"),
    [(None, "LSTM"), ("mine.layers", "LSTM"), (None, "pkg>LSTM"), ("keras.layers", "pkg>LSTM")],
)
def test_a_custom_class_of_the_same_name(
    tmp_path: Path, module: str | None, registered: str
) -> None:
    """A class that is called LSTM, but is not Keras's, need not compute what Keras's does."""
    path = archive(tmp_path, custom("LSTM", module, registered))
    with pytest.raises(lstm_cli.UnsupportedFeatureError, match="LSTM is a custom class"):
        lstm_cli.run(lstm_cli.load(path), X)
    model = lstm_cli.load(path, treat_as_lstm=registered)
    by_hand = lstm_by_hand(X, *random_lstm(1, 3, 4))["h"]
    np.testing.assert_allclose(lstm_cli.run(model, X), by_hand, rtol=0, atol=FLOAT32)


@pytest.mark.parametrize("module", ["keras.layers", "keras.src.layers.rnn.lstm", "tf_keras.layers"])
def test_classes_of_keras_are_known_by_their_module(tmp_path: Path, module: str) -> None:
    """Keras's own classes, too, are registered under a name in some versions."""
    model = lstm_cli.load(archive(tmp_path, custom("LSTM", module, "LSTM")))
    by_hand = lstm_by_hand(X, *random_lstm(1, 3, 4))["h"]
    np.testing.assert_allclose(lstm_cli.run(model, X), by_hand, rtol=0, atol=FLOAT32)


# -- files of other formats

TORCH = COMMITTED.parent / "torch"


def test_every_level_of_a_stack_gets_the_activation() -> None:
    """An nn.LSTM of two levels and two directions has four cells."""
    model = lstm_cli.load(TORCH / "sd_bi2.pt", activation="relu", recurrent_activation="linear")
    (recurrent,) = (layer.recurrent for layer in model.layers if layer.recurrent is not None)
    cells = [cell for _, _, cell in recurrent.cells() if isinstance(cell, LstmCell)]
    assert len(cells) == 4
    assert {str(cell.activation) for cell in cells} == {"relu"}
    assert {str(cell.recurrent_activation) for cell in cells} == {"linear"}


@pytest.mark.parametrize("name", ["sd_plain.pt", "sd_legacy.pt", "sd.safetensors"])
def test_treat_as_lstm_of_a_state_dict(name: str) -> None:
    with pytest.raises(lstm_cli.UsageError, match="does not name the classes of its layers"):
        lstm_cli.load(TORCH / name, treat_as_lstm="MyLSTM")
