"""LSTM layers among named tensors: what is one, what is not, and what is missing from one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from torch_files import lstm_arrays

from lstm_cli.formats.reading import NotComputed
from lstm_cli.formats.state_dict import Facts, layers_of_tensors
from lstm_cli.formats.torch_weights import part_of
from lstm_cli.model import Layer, Unsupported


class Named:
    """A tensor that is there, and knows whether it was read."""

    def __init__(self, array: Any, dtype: str = "") -> None:
        self.array = np.asarray(array)
        self.shape: tuple[int, ...] = self.array.shape
        self.dtype = dtype or str(self.array.dtype)
        self.was_read = False

    def read(self) -> Any:
        self.was_read = True
        return self.array


def tensors(arrays: Mapping[str, Any], prefix: str = "") -> dict[str, Named]:
    return {prefix + key: Named(array) for key, array in arrays.items()}


def only(arrays: Mapping[str, Named], facts: Mapping[str, Facts] | None = None) -> Layer:
    layers, _ = layers_of_tensors(arrays, facts)
    (layer,) = layers
    return layer


def reason(layer: Layer) -> str:
    assert isinstance(layer.operation, Unsupported), layer.operation
    return layer.operation.reason


@pytest.mark.parametrize(
    ("prefix", "address"),
    [
        ("", "lstm"),
        ("lstm.", "lstm"),
        ("module.encoder.rnn.", "module.encoder.rnn"),
        ("_orig_mod.module.0.", "_orig_mod.module.0"),
        ("outer/lstm/", "outer/lstm"),
    ],
)
def test_addresses_are_prefixes(prefix: str, address: str) -> None:
    assert only(tensors(lstm_arrays(), prefix)).address == address


def test_a_bare_lstm_beside_a_module_called_lstm() -> None:
    both = {**tensors(lstm_arrays()), **tensors(lstm_arrays(2, 3), "lstm.")}
    layers, _ = layers_of_tensors(both)
    assert [layer.address for layer in layers] == ["lstm_", "lstm"]


def test_every_layer_has_an_address_of_its_own() -> None:
    """A tensor at the top may be called as a module is; the LSTM keeps its address."""
    arrays = {"rnn": Named(np.zeros(3)), **tensors(lstm_arrays(), "rnn.")}
    layers, _ = layers_of_tensors(arrays)
    assert [(layer.address, layer.kind) for layer in layers] == [
        ("rnn_2", "unknown"),
        ("rnn", "LSTM"),
    ]


def test_rows_are_turned_and_biases_added() -> None:
    """formats.md 7.4: row blocks i f g o are our columns; bias_ih + bias_hh both apply."""
    arrays = lstm_arrays(3, 2)
    recurrent = only(tensors(arrays)).recurrent
    assert recurrent is not None
    assert (recurrent.convention, recurrent.merge_mode) == ("torch", "concat")
    assert recurrent.return_sequences
    assert recurrent.return_state
    cell: Any = recurrent.directions[0].cells[0]
    np.testing.assert_array_equal(cell.kernel, arrays["weight_ih_l0"].T)
    np.testing.assert_array_equal(cell.recurrent_kernel, arrays["weight_hh_l0"].T)
    biases = [arrays[f"bias_{of}_l0"].astype(np.float64) for of in ("ih", "hh")]
    np.testing.assert_array_equal(cell.bias, sum(biases))
    assert cell.kernel.flags.c_contiguous


def test_levels_and_directions_in_order() -> None:
    arrays = lstm_arrays(3, 2, levels=3, both=True)
    shuffled = dict(sorted(tensors(arrays).items(), key=lambda entry: entry[0][::-1]))
    recurrent = only(shuffled).recurrent
    assert recurrent is not None
    assert len(recurrent.levels) == 3
    for k, ways in enumerate(recurrent.levels):
        assert [way.name for way in ways] == ["forward", "backward"]
        assert [way.go_backwards for way in ways] == [False, True]
        for way, suffix in zip(ways, ("", "_reverse"), strict=True):
            expected = arrays[f"weight_ih_l{k}{suffix}"].T
            np.testing.assert_array_equal(way.cells[0].kernel, expected)


def test_one_unit() -> None:
    """formats.md 8: with one unit and one feature, kernel and recurrent kernel look alike."""
    arrays = lstm_arrays(1, 1)
    recurrent = only(tensors(arrays)).recurrent
    assert recurrent is not None
    cell: Any = recurrent.directions[0].cells[0]
    np.testing.assert_array_equal(cell.kernel, arrays["weight_ih_l0"].T)
    np.testing.assert_array_equal(cell.recurrent_kernel, arrays["weight_hh_l0"].T)


def test_projection() -> None:
    """formats.md 4.3: weight_hr (P, H); weight_hh then reads the projected state."""
    arrays = {
        "weight_ih_l0": np.ones((12, 5), np.float32),
        "weight_hh_l0": np.ones((12, 2), np.float32),
        "weight_hr_l0": np.arange(6, dtype=np.float32).reshape(2, 3),
    }
    recurrent = only(tensors(arrays)).recurrent
    assert recurrent is not None
    cell: Any = recurrent.directions[0].cells[0]
    assert (cell.units, cell.hidden_size, cell.input_size) == (3, 2, 5)
    np.testing.assert_array_equal(cell.projection, arrays["weight_hr_l0"].T)
    assert cell.bias is None


def test_lstm_cell() -> None:
    arrays = {key.removesuffix("_l0"): array for key, array in lstm_arrays().items()}
    layer = only(tensors(arrays, "decoder."))
    assert (layer.address, layer.kind) == ("decoder", "LSTMCell")
    assert layer.recurrent is not None
    assert layer.recurrent.convention == "torch cell"
    assert layer.recurrent.parts == ()


@pytest.mark.parametrize(
    ("rows", "names", "kind", "words"),
    [
        (3, ("weight_ih_l0", "weight_hh_l0"), "GRU", "it is a GRU, not an LSTM"),
        (1, ("weight_ih_l0", "weight_hh_l0"), "RNN", "it is an RNN, not an LSTM"),
        (3, ("weight_ih", "weight_hh"), "GRUCell", "it is a GRU, not an LSTM"),
        (1, ("weight_ih", "weight_hh"), "RNNCell", "it is an RNN, not an LSTM"),
        (5, ("weight_ih_l0", "weight_hh_l0"), "LSTM", "those of no LSTM"),
    ],
)
def test_kinds_by_rows(rows: int, names: tuple[str, str], kind: str, words: str) -> None:
    shapes = ((2 * rows, 3), (2 * rows, 2))
    arrays = {name: np.zeros(shape) for name, shape in zip(names, shapes, strict=True)}
    layer = only(tensors(arrays, "x."))
    assert layer.kind == kind
    assert words in reason(layer)


@pytest.mark.parametrize("missing", sorted(lstm_arrays(levels=2, both=True)))
def test_each_missing_array_is_named(missing: str) -> None:
    arrays = tensors(lstm_arrays(levels=2, both=True), "net.lstm.")
    del arrays[f"net.lstm.{missing}"]
    assert missing in reason(only(arrays))
    assert "incomplete" in reason(only(arrays))


@pytest.mark.parametrize("name", sorted(lstm_arrays(levels=2, both=True)))
def test_each_wrong_shape_is_named(name: str) -> None:
    arrays = tensors(lstm_arrays(levels=2, both=True))
    wrong = np.zeros(tuple(length + 1 for length in arrays[name].shape), np.float32)
    found = reason(only({**arrays, name: Named(wrong)}))
    assert "shape" in found or "those of no LSTM" in found
    assert "weight" in found or "bias" in found


@pytest.mark.parametrize("shape", [(), (8,), (8, 0), (0, 3), (8, 3, 1)])
def test_shapes_that_are_no_matrices(shape: tuple[int, ...]) -> None:
    arrays = tensors(lstm_arrays())
    found = reason(only({**arrays, "weight_ih_l0": Named(np.zeros(shape))}))
    assert "weight_ih_l0" in found


def test_a_huge_level_is_no_work() -> None:
    arrays = tensors(lstm_arrays())
    arrays["weight_ih_l9999"] = Named(np.zeros((8, 2)))
    assert "too few for 10000 levels" in reason(only(arrays))


@pytest.mark.parametrize(
    ("extra", "kind"),
    [
        ("weight_ch_l0", "LSTM"),
        ("weight_hh_l0_reverse_orig", "LSTM"),
        ("layernorm_i.weight", "LSTMCell"),
        ("ln.weight", "LSTMCell"),
        ("peephole", "LSTMCell"),
    ],
)
def test_what_pytorchs_own_layers_do_not_have(extra: str, kind: str) -> None:
    """Peepholes and layer normalisation under the names of nn.LSTM would be left out in silence."""
    arrays = tensors(lstm_arrays(), "rnn.")
    if kind == "LSTMCell":
        arrays = {key.removesuffix("_l0"): value for key, value in arrays.items()}
    arrays[f"rnn.{extra}"] = Named(np.zeros((8, 2)))
    layers, _ = layers_of_tensors(arrays)
    found = reason(next(layer for layer in layers if layer.address == "rnn"))
    assert extra.split(".")[0].split("_orig")[0] in found or "rnn." in found


def test_other_tensors_of_the_module_are_noted() -> None:
    arrays = {**tensors(lstm_arrays(), "rnn."), "rnn.h0": Named(np.zeros(2))}
    layers, notes = layers_of_tensors(arrays)
    assert layers[0].recurrent is not None
    assert any(note.startswith("rnn: h0 of the same module") for note in notes)


def test_other_modules_are_listed_not_read() -> None:
    head = {"emb.weight": Named(np.zeros((7, 3))), "out.0.bias": Named(np.zeros(5))}
    arrays = {**head, **tensors(lstm_arrays(), "lstm."), "scale": Named(np.zeros(()))}
    layers, _ = layers_of_tensors(arrays, {"emb": Facts("Embedding")})
    assert [(layer.address, layer.kind, layer.parameters) for layer in layers] == [
        ("emb", "Embedding", 21),
        ("out.0", "unknown", 5),
        ("lstm", "LSTM", 56),
        ("scale", "unknown", 1),
    ]
    assert not any(tensor.was_read for tensor in head.values())


def test_gru_is_not_read() -> None:
    arrays = tensors({"weight_ih_l0": np.zeros((6, 3)), "weight_hh_l0": np.zeros((6, 2))})
    only(arrays)
    assert not any(tensor.was_read for tensor in arrays.values())


@pytest.mark.parametrize("dtype", ["int64", "complex64", "float8_e4m3fn", "bool"])
def test_weights_are_floating_point(dtype: str) -> None:
    arrays = tensors(lstm_arrays())
    arrays["weight_hh_l0"].dtype = dtype
    assert f"weight_hh_l0 is of {dtype}" in reason(only(arrays))


def test_float64_is_kept() -> None:
    arrays = {key: array.astype(np.float64) for key, array in lstm_arrays().items()}
    assert only(tensors(arrays)).dtype == "float64"
    assert only(tensors(lstm_arrays())).dtype == "float32"


# -- forms of weights


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("weight_ih_l0", ("", "weight_ih_l0", "")),
        ("a.b.bias_hh_l12_reverse", ("a.b.", "bias_hh_l12_reverse", "")),
        ("a.weight_hh_l0_g", ("a.", "weight_hh_l0", "g")),
        ("a.weight_hh_raw", ("a.", "weight_hh", "raw")),
        (
            "a.parametrizations.weight_hh_l0.original1",
            ("a.", "weight_hh_l0", "parametrizations.original1"),
        ),
        ("my_weight_ih_l0", None),
        ("a.weight", None),
        ("a.weight_ih_l0.b", None),
        ("a.weight_ih_l00000", None),
    ],
)
def test_names(name: str, part: tuple[str, str, str] | None) -> None:
    assert part_of(name) == part


def normed(g: Any, v: Any, old: bool) -> Layer:
    arrays = tensors(lstm_arrays())
    del arrays["weight_hh_l0"]
    front = "weight_hh_l0_" if old else "parametrizations.weight_hh_l0.original"
    arrays[f"{front}{'g' if old else 0}"] = Named(np.asarray(g, np.float32))
    arrays[f"{front}{'v' if old else 1}"] = Named(np.asarray(v, np.float32))
    return only(arrays)


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("g_shape", [(8, 1), (1, 2), (1, 1), ()], ids=str)
def test_weight_norm(old: bool, g_shape: tuple[int, ...]) -> None:
    """w = g · v / ‖v‖ over every axis that g does not have: dim=0, dim=1 and dim=None."""
    random = np.random.default_rng(1)
    g, v = random.random(g_shape) + 1, random.standard_normal((8, 2))
    axes = 1 if g_shape == (8, 1) else 0 if g_shape == (1, 2) else None
    length = np.sqrt(np.sum(v**2, axis=axes, keepdims=axes is not None))
    layer = normed(g, v, old)
    assert layer.recurrent is not None
    cell = layer.recurrent.directions[0].cells[0]
    np.testing.assert_allclose(cell.recurrent_kernel, (g * v / length).T, rtol=1e-6)


def test_weight_norm_that_does_not_fit() -> None:
    assert "does not fit" in reason(normed(np.ones((4, 1)), np.ones((8, 2)), True))
    assert "length 0" in reason(normed(np.ones((8, 1)), np.zeros((8, 2)), True))


@pytest.mark.parametrize(
    ("forms", "words"),
    [
        (("_orig", "_u"), "spectral_norm"),
        (("_orig",), "a parametrisation"),
        (("_g",), "only weight_hh_l0_g"),
        (("_mask",), "only weight_hh_l0_mask"),
    ],
)
def test_forms_that_are_refused(forms: tuple[str, ...], words: str) -> None:
    arrays = tensors(lstm_arrays())
    weight = arrays.pop("weight_hh_l0")
    arrays.update({f"weight_hh_l0{form}": weight for form in forms})
    assert words in reason(only(arrays))


def test_parametrisations_that_are_refused() -> None:
    arrays = tensors(lstm_arrays())
    weight = arrays.pop("weight_hh_l0")
    front = "parametrizations.weight_hh_l0."
    unknown = {**arrays, f"{front}original": weight}
    assert "a parametrisation that the file does not name" in reason(only(unknown))
    spectral = {**unknown, f"{front}0._u": Named(np.ones(8)), f"{front}0._v": Named(np.ones(2))}
    assert only(spectral).is_lstm
    both = {**spectral, f"{front}1.scale": Named(np.ones(8))}
    assert "spectral_norm beside others" in reason(only(both))


def spectral(original: Any, u: Any, v: Any, old: bool) -> Layer:
    """A layer of 2 units whose weight_hh_l0 is saved with these tensors."""
    arrays = tensors(lstm_arrays())
    del arrays["weight_hh_l0"]
    names = (
        "parametrizations.weight_hh_l0.original",
        *(f"parametrizations.weight_hh_l0.0._{k}" for k in "uv"),
    )
    if old:
        names = ("weight_hh_l0_orig", "weight_hh_l0_u", "weight_hh_l0_v")
    return only({**arrays, **tensors(dict(zip(names, (original, u, v), strict=True)))})


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("dim", [0, 1])
def test_spectral_norm_by_hand(old: bool, dim: int) -> None:
    """orig / (u · orig v) with the u and v of the file, whatever the largest singular value is."""
    original = np.arange(1.0, 17).reshape(8, 2)
    u, v = np.array([1.0, 0, 0, 2, 0, 0, 0, 0]), np.array([0.5, 1.0])
    norm = 1 * (1 * 0.5 + 2 * 1) + 2 * (7 * 0.5 + 8 * 1)  # rows 0 and 3
    layer = spectral(original, *((v, u) if dim else (u, v)), old)
    assert layer.recurrent is not None
    cell = layer.recurrent.directions[0].cells[0]
    np.testing.assert_allclose(cell.recurrent_kernel, original.T / norm, rtol=1e-6)  # float32


def test_spectral_norm_that_does_not_fit() -> None:
    ones = np.ones((8, 2))
    assert "do not fit (8, 2)" in reason(spectral(ones, np.ones(8), np.ones(3), True))
    assert "do not fit (8, 2)" in reason(spectral(ones, np.ones((8, 2)), np.ones(0), False))
    assert "is 0" in reason(spectral(ones, np.zeros(8), np.ones(2), True))


def test_spectral_norm_of_a_square() -> None:
    """Rows and columns are equally many: the file does not say which u belongs to."""
    arrays = tensors(lstm_arrays(features=8, units=2))
    weight = arrays.pop("weight_ih_l0")
    square = {f"weight_ih_l0_{k}": Named(np.ones(8)) for k in "uv"}
    found = only({**arrays, **square, "weight_ih_l0_orig": weight})
    assert "spectral_norm of a square, whose dim the file does not name" in reason(found)


def test_masks_of_pruning() -> None:
    arrays = lstm_arrays()
    weight = arrays.pop("weight_hh_l0")
    mask = np.arange(weight.size).reshape(weight.shape) % 3 > 0
    pruned = tensors({**arrays, "weight_hh_l0_orig": weight, "weight_hh_l0_mask": mask})
    layer = only(pruned)
    assert layer.recurrent is not None
    found = layer.recurrent.directions[0].cells[0].recurrent_kernel
    np.testing.assert_array_equal(found, (weight * mask).T)


def test_dropout_on_weights_keeps_the_raw_one() -> None:
    """WeightDrop saves the weight of its last step, with zeros in it, beside the true one."""
    arrays = lstm_arrays()
    names = {f"rnn.module.{key}": array for key, array in arrays.items()}
    names["rnn.module.weight_hh_l0"] = np.zeros_like(arrays["weight_hh_l0"])
    names["rnn.weight_hh_l0_raw"] = arrays["weight_hh_l0"]
    layers, notes = layers_of_tensors(tensors(names))
    (layer,) = layers
    assert layer.address == "rnn.module"
    assert layer.recurrent is not None
    found = layer.recurrent.directions[0].cells[0].recurrent_kernel
    np.testing.assert_array_equal(found, arrays["weight_hh_l0"].T)
    assert any("dropout on weights is off" in note for note in notes)


# -- what files say beside their tensors


def test_settings_that_disagree_are_refused() -> None:
    arrays = tensors(lstm_arrays(levels=2))
    assert "num_layers is 3" in reason(only(arrays, {"": Facts(levels=3)}))
    assert "bidirectional is True" in reason(only(arrays, {"": Facts(bidirectional=True)}))
    assert only(arrays, {"": Facts(levels=2, bidirectional=False)}).recurrent is not None


def test_refusals_of_the_file_are_passed_on() -> None:
    assert reason(only(tensors(lstm_arrays()), {"": Facts(refusal="because")})) == "because"


@pytest.mark.parametrize(
    ("facts", "note"),
    [
        (Facts(), "lstm: batch_first is not in a state dict; INPUT is taken as (B, T, F)"),
        (
            Facts(batch_first=True),
            "lstm: batch_first=True in the file; INPUT is taken as (B, T, F)",
        ),
        (Facts(dropout=0.5), "lstm: dropout=0.5 between levels is off"),
    ],
)
def test_notes(facts: Facts, note: str) -> None:
    _, notes = layers_of_tensors(tensors(lstm_arrays()), {"": facts})
    assert any(line.startswith(note) for line in notes)


def test_many_modules_take_little_time() -> None:
    """Each module is looked at once: 20,000 cells, none of which is read through."""
    arrays = {f"m{k}.weight_ih": Named(np.zeros((4, 1), np.float32)) for k in range(20_000)}
    layers, _ = layers_of_tensors(arrays)
    assert len(layers) == 20_000


def test_problems_of_weights_are_clauses() -> None:
    assert issubclass(NotComputed, Exception)
    arrays = tensors(lstm_arrays())
    del arrays["weight_hh_l0"]
    assert "\n" not in reason(only(arrays))
