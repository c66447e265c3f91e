"""Where masks go in each Keras: merges, wrappers, explicit masks, against files of real versions.

Outputs of these files are compared with the framework's in ``test_golden.py`` as well; here stand
the rules by name, so that a failure says which one broke.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from golden_files import COMMITTED, FLOAT32, Array, in_order, scaled_error
from keras_files import configs, edited

import lstm_cli

MERGES = ("add", "multiply", "maximum", "concatenate")


def numbers(name: str) -> tuple[list[Array], list[Array]]:
    """Inputs and the framework's outputs of a committed golden file."""
    with np.load(COMMITTED / f"{name}.npz") as arrays:
        found = dict(arrays)
    return in_order(found, "x"), in_order(found, "y")


def traces(path: Path, inputs: list[Array]) -> lstm_cli.Traces:
    """Of all LSTM layers, of which there are several."""
    found = lstm_cli.trace(lstm_cli.load(path), inputs if len(inputs) > 1 else inputs[0])
    assert isinstance(found, lstm_cli.Traces)
    return found


def outputs(path: Path, inputs: list[Array]) -> list[Array]:
    given = inputs if len(inputs) > 1 else inputs[0]
    return list(lstm_cli.run(lstm_cli.load(path), given, named=True).values())


@pytest.mark.parametrize(
    "name",
    [
        "keras3/k3.3.3_tensorflow_merged_masks.keras",
        "keras3/k3.15.1_tensorflow_merged_masks.keras",
        "tfkeras2/tf2.15.1_merged_masks.h5",
    ],
)
@pytest.mark.parametrize("merge", range(len(MERGES)), ids=MERGES)
@pytest.mark.parametrize("masked", ["both", "second only"])
def test_each_era_merges_masks_in_its_own_way(name: str, merge: int, masked: str) -> None:
    path = COMMITTED / name
    inputs, expected = numbers(name.removesuffix(path.suffix))
    k = 2 * merge + (masked != "both")
    assert scaled_error(outputs(path, inputs)[k], expected[k]) <= FLOAT32


def test_the_three_eras_differ_in_what_they_merge() -> None:
    path = COMMITTED / "keras3" / "k3.15.1_tensorflow_merged_masks.keras"
    inputs, _ = numbers("keras3/k3.15.1_tensorflow_merged_masks")
    versions = ("3.3.3", "3.15.1", "2.15.0")
    found = []
    for version in versions:
        era = {"3.3.3": "k3.3.3_tensorflow", "3.15.1": "k3.15.1_tensorflow"}.get(version)
        name = f"keras3/{era}_merged_masks" if era else "tfkeras2/tf2.15.1_merged_masks"
        found.append(numbers(name)[1][0])
    assert all(np.abs(a - b).max() > 0.01 for a, b in pairwise(found))
    assert len(outputs(path, inputs)) == 2 * len(MERGES)


def test_weights_with_an_architecture_that_names_no_version_merge_as_keras_3_6() -> None:
    """Keras 3's own JSON has no version; that the file's groups carry names tells 3.6 and later."""
    stem = COMMITTED / "keras3" / "k3.15.1_tensorflow_merged_masks"
    inputs, expected = numbers("keras3/k3.15.1_tensorflow_merged_masks")
    model = lstm_cli.load(f"{stem}.weights.h5", architecture=f"{stem}.json")
    found = lstm_cli.run(model, inputs)
    assert max(scaled_error(a, b) for a, b in zip(found, expected, strict=True)) <= FLOAT32
    assert any("no keras_version" in note for note in model.assumptions)


@pytest.mark.parametrize(
    "name", ["keras3/k3.15.1_tensorflow_rescaled_mask.keras", "tfkeras2/tf2.15.1_rescaled_mask.h5"]
)
def test_rescaling_and_normalization_hand_masks_on_in_keras_3_alone(name: str) -> None:
    path = COMMITTED / name
    inputs, expected = numbers(name.removesuffix(path.suffix))
    trace = traces(path, inputs)
    masks = [trace[cell].arrays.get("mask") for cell in trace]
    later = masks[1:]
    kept = "keras3" in name
    assert all((mask is not None and not mask.all()) == kept for mask in later)
    found = outputs(path, inputs)
    assert max(scaled_error(a, b) for a, b in zip(found, expected, strict=True)) <= FLOAT32


def test_an_unrolled_backward_layer_zeroes_the_mirrored_steps() -> None:
    path = COMMITTED / "keras3" / "k3.15.1_tensorflow_unrolled_masked.keras"
    inputs, expected = numbers("keras3/k3.15.1_tensorflow_unrolled_masked")
    real = (inputs[0] != 0).any(axis=-1)
    backward = outputs(path, inputs)[0][..., 3:]
    assert scaled_error(backward, expected[0][..., 3:]) <= FLOAT32
    assert not backward[~real[:, ::-1]].any()
    assert backward[~real].any()  # steps that are masked, and yet not zero


def test_without_unroll_the_same_model_gives_other_numbers(tmp_path: Path) -> None:
    path = COMMITTED / "keras3" / "k3.15.1_tensorflow_unrolled_masked.keras"
    inputs, expected = numbers("keras3/k3.15.1_tensorflow_unrolled_masked")
    rolled = edited(
        path, tmp_path, lambda document: [c.update(unroll=False) for c in configs(document)]
    )
    assert scaled_error(outputs(rolled, inputs)[0], expected[0]) > 0.01


@pytest.mark.parametrize(
    "name",
    [
        "keras3/k3.15.1_tensorflow_td_masked_model.keras",
        "keras3/k3.15.1_tensorflow_td_embedding_mask.keras",
        "tfkeras2/tf2.15.1_td_masked_model.h5",
        "tfkeras2/tf2.15.1_td_embedding_mask.h5",
        "tfkeras2/tf2.15.1_td_attention.h5",
    ],
)
def test_masks_inside_and_outside_a_time_distributed_wrapper(name: str) -> None:
    path = COMMITTED / name
    inputs, expected = numbers(name.removesuffix(path.suffix))
    assert scaled_error(outputs(path, inputs)[0], expected[0]) <= FLOAT32


@pytest.mark.parametrize(
    "name", ["keras3/k3.15.1_tensorflow_explicit_mask.keras", "tfkeras2/tf2.12.1_explicit_mask.h5"]
)
def test_an_explicit_mask_reaches_later_layers(name: str) -> None:
    path = COMMITTED / name
    inputs, expected = numbers(name.removesuffix(path.suffix))
    found = outputs(path, inputs)
    assert max(scaled_error(a, b) for a, b in zip(found, expected, strict=True)) <= FLOAT32
    trace = traces(path, inputs)
    later = list(trace)[-1]
    np.testing.assert_array_equal(trace[later].mask, inputs[1])
