"""What golden files cannot show: blocks, precision, silence at NaN, and errors in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lstm_cli.engine.layers import RULES
from lstm_cli.engine.tensor import Tensor
from lstm_cli.errors import InputError, LstmCliError, ShapeError, UnsupportedFeatureError
from lstm_cli.model import Activation, Array, Operation

RNG = np.random.default_rng(7)


def floats(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def run(name: str, *inputs: Any, weights: dict[str, Array] | None = None, **settings: Any) -> Any:
    """The output of an operation; two-element tuples are arrays with masks."""
    tensors = [Tensor(*x) if isinstance(x, tuple) else Tensor(np.asarray(x)) for x in inputs]
    return RULES[name].compute(Operation(name, settings, weights or {}), tensors)


DENSE = {"kernel": floats(3, 5), "bias": floats(5)}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("cut", [256, 512])
@pytest.mark.parametrize("activation", ["tanh", "softmax"])
def test_dense_is_the_same_to_the_bit_when_cut_at_a_block(
    batch: int, cut: int, activation: str
) -> None:
    weights = {"kernel": floats(40, 33), "bias": floats(33)}
    x, settings = floats(batch, 701, 40), {"activation": Activation(activation)}

    whole = run("dense", x, weights=weights, **settings).array
    parts = [
        run("dense", part, weights=weights, **settings).array for part in np.split(x, [cut], axis=1)
    ]

    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)  # no tolerance: same bits


def test_dense_blocks_cover_the_axes_behind_the_steps() -> None:
    weights, x = {"kernel": floats(4, 3)}, floats(2, 600, 2, 4)

    found = run("dense", x, weights=weights).array

    expected = np.einsum("btaf,fu->btau", x.astype(np.float64), weights["kernel"])
    np.testing.assert_allclose(found, expected, atol=1e-5)  # float32 sums of four products


def test_long_convolutions_and_attention_are_cut_into_blocks() -> None:
    """More than a block's 4 million elements; the sums are checked in double precision."""
    x, kernel = floats(1, 6000, 300), floats(3, 300, 2)
    query, value = floats(1, 1500, 4), floats(1, 900, 4)

    convolved = run("conv1d", x, weights={"kernel": kernel}).array
    attended = run("additive_attention", query, value).array

    x, kernel = x.astype(np.float64), kernel.astype(np.float64)
    taps = [x[:, k : 5998 + k] @ kernel[k] for k in range(3)]
    np.testing.assert_allclose(convolved, sum(taps), atol=1e-3)  # 900 products, up to 100 in sum
    scores = np.tanh(query[:, :, None].astype(np.float64) + value[:, None]).sum(axis=-1)
    weights = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(attended, weights @ value, atol=1e-5)  # mixtures of values below 5


def test_a_causal_mask_counts_steps_across_blocks() -> None:
    x = floats(1, 3000, 1)

    found = run("attention", x, x, use_causal_mask=True).array

    late = np.exp(x[0, 2999, 0].astype(np.float64) * x[0, :, 0])
    np.testing.assert_allclose(found[0, 0], x[0, 0], atol=1e-6)
    np.testing.assert_allclose(found[0, 2999, 0], late @ x[0, :, 0] / late.sum(), atol=1e-5)


@pytest.mark.parametrize("name", ["op_add", "op_multiply", "op_power", "op_maximum", "op_divide"])
def test_a_constant_does_not_make_double_precision_of_single(name: str) -> None:
    found = run(name, np.abs(floats(2, 3)), np.float64(2.0)).array

    assert found.dtype == np.float32


def test_whole_numbers_beside_single_precision_stay_single() -> None:
    found = run("op_add", np.array([[1, 2]]), np.array([[0.5, 0.25]], np.float32)).array

    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[1.5, 2.25]])  # exact in binary


def test_a_comparison_with_a_constant_is_made_in_single_precision() -> None:
    found = run("op_equal", np.array([0.1], np.float32), np.float64(0.1)).array

    np.testing.assert_array_equal(found, [True])


@pytest.mark.parametrize(
    ("name", "weights", "settings"),
    [
        ("op_sqrt", {}, {}),
        ("op_log", {}, {}),
        ("elu", {}, {"alpha": 1.0}),
        ("softmax", {}, {"axis": -1}),
        ("dense", DENSE, {}),
        ("conv1d", {"kernel": floats(2, 3, 4)}, {"padding": "same"}),
        ("max_pooling1d", {}, {"pool_size": 2}),
        ("layer_normalization", {}, {"axis": -1, "epsilon": 1e-3}),
    ],
)
def test_nan_and_infinity_pass_without_a_warning(
    name: str, weights: dict[str, Array], settings: dict[str, Any]
) -> None:
    x = np.array([[[-1, np.nan, np.inf], [-np.inf, 3e38, 3e38]]], np.float32)

    found = run(name, x, weights=weights, **settings).array

    assert not np.isfinite(found).all()


def test_a_negative_variance_gives_nan_without_a_warning() -> None:
    weights = {"moving_mean": np.zeros(2, "f"), "moving_variance": np.array([-2, 3], "f")}

    found = run("batch_normalization", [[1.0, 1.0]], weights=weights, axis=-1, epsilon=1.0).array

    np.testing.assert_array_equal(found, [[np.nan, 0.5]])


def test_embedding_reports_the_first_wrong_id() -> None:
    table = {"embeddings": floats(5, 2)}

    with pytest.raises(InputError, match=r"id 7 at sequence 1, step 0 .* from 0 to 4$"):
        run("embedding", [[0, 4], [7, 9]], weights=table)
    with pytest.raises(InputError, match="id -1 at sequence 0, step 1"):
        run("embedding", [[0, -1]], weights=table)
    with pytest.raises(InputError, match=r"id 1\.5 at sequence 0, step 0"):
        run("embedding", [[1.5]], weights=table)
    with pytest.raises(InputError, match="id nan at sequence 0, step 1, feature 0"):
        run("embedding", [[[0.0], [np.nan]]], weights=table)
    with pytest.raises(InputError, match=r"at position \[0, 0, 0, 0\]"):
        run("embedding", [[[[8]]]], weights=table)


def test_no_steps_give_no_steps() -> None:
    assert run("dense", floats(2, 0, 3), weights=DENSE).array.shape == (2, 0, 5)
    assert run("embedding", np.zeros((2, 0)), weights={"embeddings": floats(4, 3)}).array.size == 0


def test_masking_keeps_nan_and_masks_whole_rows_only() -> None:
    x = np.array([[[2, 2], [2, 1], [np.nan, 2]]], np.float32)

    found = run("masking", x, mask_value=2.0)

    np.testing.assert_array_equal(found.array, [[[0, 0], [2, 1], [np.nan, 2]]])
    np.testing.assert_array_equal(found.mask, [[False, True, True]])


def test_identity_can_drop_the_mask() -> None:
    x, mask = floats(1, 2, 3), np.array([[True, False]])

    assert run("identity", (x, mask)).mask is mask
    assert run("identity", (x, mask), drop_mask=True).mask is None
    assert run("op_identity", (x, mask)).mask is None
    np.testing.assert_array_equal(run("op_identity", x).array, x)


def test_full_padding_reads_every_overlap() -> None:
    """By hand: [1, 2] * [1, 10] with one zero on each side."""
    x = np.array([[[1], [2]]], np.float32)
    kernel = np.array([1, 10], np.float32).reshape(2, 1, 1)

    found = run("conv1d", x, weights={"kernel": kernel}, padding="full").array

    np.testing.assert_array_equal(found[0, :, 0], [10, 21, 2])


@pytest.mark.parametrize(
    ("padding", "strides", "expected"),
    [("same", 1, [21, 32, 3]), ("half", 1, [10, 21, 32]), ("half", 2, [10, 32])],
)
def test_half_padding_begins_a_step_earlier_than_same(
    padding: str, strides: int, expected: list[int]
) -> None:
    """By hand: [1, 2, 3] * [1, 10]. Source: ``theano_backend.py`` of Keras 1 and 2."""
    x = np.array([[[1], [2], [3]]], np.float32)
    kernel = np.array([1, 10], np.float32).reshape(2, 1, 1)

    found = run("conv1d", x, weights={"kernel": kernel}, padding=padding, strides=strides).array

    np.testing.assert_array_equal(found[0, :, 0], expected)


def test_clip_takes_its_bounds_as_inputs_too() -> None:
    found = run("op_clip", np.array([-3, 0.5, 9], np.float32), np.float64(-1), np.float64(2)).array

    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [-1, 0.5, 2])


def test_gelu_has_an_exact_form() -> None:
    found = run("op_gelu", np.array([1], np.float32), approximate=False).array

    np.testing.assert_allclose(found, [0.8413447461], rtol=1e-6)  # the normal distribution at 1


def test_whole_numbers_take_negative_exponents() -> None:
    np.testing.assert_array_equal(run("op_power", [2, 4], [-1, 2]).array, [0.5, 16])


def test_a_cast_to_floats_keeps_the_precision_of_the_run() -> None:
    assert run("op_cast", np.ones(2), dtype="float32").array.dtype == np.float64
    assert run("op_cast", np.ones(2, "f"), dtype="float64").array.dtype == np.float32
    assert run("op_cast", np.ones(2, int), dtype="float64").array.dtype == np.float64


def test_whole_number_images_are_rescaled_in_single_precision() -> None:
    found = run("rescaling", np.array([[0, 255]], np.uint8), scale=1 / 255, offset=0.0).array

    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[0, 1]])


def step_rule(name: str, *ranks: int, weights: dict[str, Array] | None = None, **kw: Any) -> bool:
    return RULES[name].stepwise(Operation(name, kw, weights or {}), ranks)


def test_layers_that_look_at_several_steps_are_not_stepwise() -> None:
    per_step = {"alpha": floats(7, 3)}
    assert not step_rule("conv1d", 3)
    assert not step_rule("flatten", 3)
    assert not step_rule("attention", 3, 3)
    assert not step_rule("softmax", 3, axis=1)
    assert not step_rule("softmax", 2, axis=-1)
    assert not step_rule("activation", 2, activation=Activation("softmax"))
    assert not step_rule("batch_normalization", 3, axis=1)
    assert not step_rule("layer_normalization", 3, axis=[1, 2])
    assert not step_rule("normalization", 3, axis=1)
    assert not step_rule("rescaling", 3, scale=floats(7, 1))
    assert not step_rule("prelu", 3, weights=per_step)
    assert not step_rule("dense", 2)
    assert not step_rule("masking", 2)
    assert not step_rule("concatenate", 3, 3, axis=1)
    assert not step_rule("add", 3, 2)
    assert not step_rule("op_add", 3, 2)
    assert not step_rule("op_add", 2, 1)
    assert not step_rule("op_sum", 3)
    assert not step_rule("op_sum", 3, axis=[1, 2])
    assert not step_rule("op_sum", 3, axis=0)
    assert not step_rule("op_expand_dims", 3, axis=1)
    assert not step_rule("op_squeeze", 3)
    assert not step_rule("op_squeeze", 3, axis=None)
    assert not step_rule("op_getitem", 3, key=(slice(None), -1))
    assert not step_rule("op_getitem", 3, key=(slice(None), None))
    assert not step_rule("op_getitem", 3, key=(slice(None), slice(None), [0, 1]))
    assert not step_rule("op_getitem", 3, key=0)
    assert not step_rule("op_matmul", 3, 3)


def test_layers_that_look_at_one_step_are_stepwise() -> None:
    assert step_rule("embedding", 2)
    assert step_rule("dense", 3)
    assert step_rule("add", 3, 3)
    assert step_rule("concatenate", 3, 3, axis=-1)
    assert step_rule("normalization", 3, axis=None)
    assert step_rule("op_add", 3, 0)
    assert step_rule("op_add", 3, 1)
    assert step_rule("op_sum", 3, axis=-1)
    assert step_rule("op_getitem", 3, key=(..., 0))
    assert step_rule("op_getitem", 3, key=slice(None))
    assert step_rule("op_matmul", 3, 2)


MASK = np.array([[True, False]])
WRONG: list[tuple[str, tuple[Any, ...], dict[str, Array], dict[str, Any], type, str]] = [
    ("dense", (floats(1, 2, 4),), DENSE, {}, ShapeError, r"input: expected shape \(B, ..., 3\)"),
    ("dense", (floats(3),), DENSE, {}, ShapeError, "input"),
    ("dense", (floats(1, 3), floats(1, 3)), DENSE, {}, InputError, "one input, found 2"),
    (
        "dense",
        (floats(1, 3),),
        {**DENSE, "bias": floats(4)},
        {},
        ShapeError,
        r"bias: expected shape \(5,\)",
    ),
    ("masking", (floats(3),), {}, {"mask_value": 0.0}, ShapeError, "input"),
    (
        "softmax",
        ((floats(1, 2, 3), MASK),),
        {},
        {"axis": -1},
        UnsupportedFeatureError,
        "masked Softmax",
    ),
    ("softmax", (floats(1, 2),), {}, {"axis": 2}, ShapeError, "with axis 2"),
    ("prelu", (floats(1, 2, 3),), {"alpha": floats(2, 4)}, {}, ShapeError, r"\(B, 2, 4\)"),
    (
        "batch_normalization",
        (floats(1, 3),),
        {"moving_mean": floats(2), "moving_variance": floats(2)},
        {"epsilon": 0.1},
        ShapeError,
        "with 2 along axis 1",
    ),
    (
        "batch_normalization",
        (floats(1, 2),),
        {"moving_mean": floats(2)},
        {"epsilon": 0.1},
        ShapeError,
        "moving_variance",
    ),
    (
        "layer_normalization",
        (floats(1, 3),),
        {"gamma": floats(2)},
        {"epsilon": 0.1},
        ShapeError,
        "gamma",
    ),
    (
        "normalization",
        (floats(1, 3),),
        {"mean": floats(2), "variance": floats(2)},
        {"axis": -1},
        ShapeError,
        r"\(2,\) along axes \[1\]",
    ),
    ("rescaling", (floats(1, 3),), {}, {"scale": [1.0, 2.0]}, ShapeError, "a scale of shape"),
    ("conv1d", (floats(1, 3),), {"kernel": floats(2, 3, 4)}, {}, ShapeError, r"\(B, T, C\)"),
    ("conv1d", (floats(1, 5, 2),), {"kernel": floats(2, 3, 4)}, {}, ShapeError, r"\(B, ..., 3\)"),
    (
        "conv1d",
        (floats(1, 5, 2),),
        {"kernel": floats(2, 3, 4)},
        {"data_format": "channels_first"},
        ShapeError,
        r"\(B, 3, ...\), found \(1, 5, 2\)",
    ),
    ("conv1d", (floats(1, 1, 3),), {"kernel": floats(2, 3, 4)}, {}, ShapeError, "at least 2 steps"),
    (
        "conv1d",
        (floats(1, 5, 6),),
        {"kernel": floats(2, 3, 5)},
        {"groups": 2},
        ShapeError,
        "multiple of 2 filters",
    ),
    (
        "conv1d",
        (floats(1, 5, 3),),
        {"kernel": floats(2, 3, 5)},
        {"strides": 0},
        UnsupportedFeatureError,
        "strides 0",
    ),
    (
        "conv1d",
        (floats(1, 5, 3),),
        {"kernel": floats(2, 3, 5)},
        {"groups": 0},
        UnsupportedFeatureError,
        "groups 0",
    ),
    (
        "separable_conv1d",
        (floats(1, 5, 3),),
        {"depthwise_kernel": floats(2, 3, 2), "pointwise_kernel": floats(1, 5, 4)},
        {},
        ShapeError,
        r"pointwise_kernel: expected shape \(1, 6, U\)",
    ),
    ("max_pooling2d", (floats(1, 5, 3),), {}, {"pool_size": 2}, ShapeError, r"\(B, H, W, C\)"),
    (
        "max_pooling1d",
        (floats(1, 5, 3),),
        {},
        {"pool_size": 0},
        UnsupportedFeatureError,
        "window size 0",
    ),
    (
        "global_average_pooling1d",
        ((floats(1, 5, 3), MASK),),
        {},
        {},
        ShapeError,
        r"mask: expected shape \(1, 5\)",
    ),
    (
        "reshape",
        (floats(1, 6),),
        {},
        {"target_shape": [4, -1]},
        ShapeError,
        r"a sample as \(4, \?\)",
    ),
    ("reshape", (floats(1, 6),), {}, {"target_shape": [4]}, ShapeError, r"as \(4\)"),
    ("reshape", (floats(1, 6),), {}, {"target_shape": [-1, -1]}, ShapeError, "numbers"),
    ("permute", (floats(1, 6),), {}, {"dims": [2, 1]}, ShapeError, "3 axes"),
    ("repeat_vector", (floats(1, 6, 2),), {}, {"n": 2}, ShapeError, r"\(B, F\)"),
    ("cropping1d", (floats(1, 3, 2),), {}, {"cropping": [1, 2]}, ShapeError, "at least 4 steps"),
    (
        "up_sampling2d",
        (floats(1, 3, 2, 1),),
        {},
        {"size": 2, "interpolation": "bilinear"},
        UnsupportedFeatureError,
        "bilinear",
    ),
    ("add", (), {}, {}, InputError, "at least one input"),
    ("add", (floats(1, 3), floats(1, 2)), {}, {}, ShapeError, "input 1"),
    ("subtract", (floats(1, 3),) * 3, {}, {}, InputError, "two inputs, found 3"),
    (
        "multiply",
        ((floats(1, 2, 3, 4), MASK), floats(1, 2, 3, 4)),
        {},
        {"mask_merge": "or"},
        UnsupportedFeatureError,
        "merging masks",
    ),
    ("concatenate", (), {}, {}, InputError, "at least one input"),
    ("concatenate", (floats(1, 2, 3), floats(1, 3, 3)), {}, {}, ShapeError, r"\(1, 2, n\)"),
    ("concatenate", (floats(1, 2, 3), floats(1, 3)), {}, {}, ShapeError, "input 1"),
    ("dot", (floats(1, 2),), {}, {"axes": 1}, InputError, "two inputs"),
    ("dot", (floats(1, 2), floats(1, 3)), {}, {"axes": 1}, ShapeError, "2 along axis 1"),
    ("dot", (floats(2, 2), floats(2, 2)), {}, {"axes": 0}, ShapeError, "axis 0"),
    ("attention", (floats(1, 2, 3),), {}, {}, InputError, "query, value and perhaps key"),
    ("attention", (floats(1, 3), floats(1, 3)), {}, {}, ShapeError, "query"),
    ("attention", (floats(1, 2, 3), floats(2, 2, 3)), {}, {}, ShapeError, "value"),
    ("attention", (floats(1, 2, 3), floats(1, 2, 4)), {}, {}, ShapeError, "key"),
    ("op_add", (floats(3), floats(2)), {}, {}, ShapeError, "input 1"),
    ("op_add", (floats(3),), {}, {}, InputError, "2 inputs, found 1"),
    ("op_reshape", (floats(3),), {}, {"newshape": [2, 2]}, ShapeError, "reshape"),
    (
        "op_concatenate",
        (floats(1, 2), floats(1)),
        {},
        {"axis": 0},
        ShapeError,
        r"beside it: \(1,\)",
    ),
    ("op_getitem", (floats(1, 2),), {}, {"key": (0, 5)}, ShapeError, "getitem"),
    ("op_sum", (floats(1, 2),), {}, {"axis": [0, 3]}, ShapeError, r"axis \[0, 3\]"),
]


@pytest.mark.parametrize(("name", "inputs", "weights", "settings", "error", "words"), WRONG)
def test_what_cannot_be_computed_is_said_in_words(
    name: str,
    inputs: tuple[Any, ...],
    weights: dict[str, Array],
    settings: dict[str, Any],
    error: type[LstmCliError],
    words: str,
) -> None:
    with pytest.raises(error, match=words) as raised:
        run(name, *inputs, weights=weights, **settings)

    assert type(raised.value) is error
