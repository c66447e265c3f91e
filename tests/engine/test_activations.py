"""Activation functions against the values of Keras, and their behaviour at the edges."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from lstm_cli.engine.activations import NAMES, apply, in_place, quiet
from lstm_cli.errors import UnsupportedFeatureError
from lstm_cli.model import Activation

# Values of Keras 3.15.1 on TensorFlow 2.21.0 in float64, as it prints them with 16 digits; those of
# hard_sigmoid with 0.2 are of tf_keras 2.21.0. One row of input; names with their settings.
NEAR = (-3.3, -0.4, 0.7, 2.6)
KERAS_NEAR = """
celu -0.96311683259876 -0.3296799539643607 0.7 2.6
elu -0.96311683259876 -0.3296799539643608 0.7 2.6
exponential 0.03688316740124001 0.6703200460356392 2.013752707470477 13.46373803500169
gelu -0.001595299990909268 -0.1378313043642983 0.5306254408252895 2.587880909566884
gelu_tanh -0.00131122823455212 -0.1378388305869091 0.5305701345964369 2.588346081811649
glu -2.205019648154948 -0.3723446318626613
hard_shrink -3.3 0 0.7 2.6
hard_silu -0 -0.1733333333333333 0.4316666666666666 2.426666666666666
hard_swish -0 -0.1733333333333333 0.4316666666666666 2.426666666666666
hard_tanh -1 -0.4 0.7 1
linear -3.3 -0.4 0.7 2.6
log_sigmoid -3.336219258870659 -0.9130152523999526 -0.4031860488854578 -0.07164469196766982
log_softmax -6.084065978080432 -3.184065978080432 -2.084065978080432 -0.1840659780804317
mish -0.1194713166346856 -0.1889164823935147 0.5611483776438518 2.575261622371174
relu 0 0 0.7 2.6
relu6 0 0 0.7 2.6
selu -1.693255068550893 -0.5796101097553362 0.7354906911488363 2.731822567124249
sigmoid 0.03557118927263617 0.401312339887548 0.6681877721681662 0.9308615796566532
silu -0.1173849245996994 -0.1605249359550192 0.4677314405177163 2.420240107107298
soft_shrink -2.8 0 0.2 2.1
softmax 0.002278891865469839 0.04141691204429015 0.1244232799802343 0.8318809161100058
softplus 0.03621925887065928 0.5130152523999526 1.103186048885458 2.67164469196767
softsign -0.7674418604651163 -0.2857142857142858 0.4117647058823529 0.7222222222222222
sparse_plus 0 0.09 0.7224999999999999 2.6
sparse_sigmoid 0 0.3 0.85 1
squareplus 0.2793781381574738 0.8198039027185571 1.409481005020854 2.940121946685673
swish -0.1173849245996994 -0.1605249359550192 0.4677314405177163 2.420240107107298
tanh -0.9972829600991423 -0.379948962255225 0.6043677771171635 0.9890274022010993
tanh_shrink -2.302717039900858 -0.02005103774477507 0.09563222288283646 1.610972597798901
elu,0.3 -0.288935049779628 -0.09890398618930824 0.7 2.6
celu,0.3 -0.2999949894897629 -0.220920858565282 0.7 2.6
hard_sigmoid,0.2,0.5 0 0.42 0.64 1
hard_sigmoid,1/6,0.5 0 0.4333333333333333 0.6166666666666667 0.9333333333333332
soft_shrink,1.5 -1.8 0 0 1.1
hard_shrink,1.5 -3.3 0 0 2.6
squareplus,1.0 0.07409396495666676 0.3385164807134505 0.9603277807866851 2.692838827718412
threshold,0.5,-7.0 -7 -7 0.7 2.6
"""
FAR = (-40.0, -1.0, 1.0, 40.0)
KERAS_FAR = """
celu -1 -0.6321205588285577 1 40
elu -1 -0.6321205588285577 1 40
exponential 4.248354255291589e-18 0.3678794411714423 2.718281828459046 2.3538526683702e+17
gelu -0 -0.1586552580726097 0.8413447419273903 40
gelu_tanh -0 -0.1588080097213236 0.8411919902786764 40
glu -29.24234314520019 -1
hard_shrink -40 -1 1 40
hard_silu -0 -0.3333333333333333 0.6666666666666666 40
hard_swish -0 -0.3333333333333333 0.6666666666666666 40
hard_tanh -1 -1 1 1
linear -40 -1 1 40
log_sigmoid -40 -1.313261687518223 -0.3132616875182228 -4.248354255291589e-18
log_softmax -80 -41 -39 0
mish -1.699341702116636e-16 -0.3034014613741089 0.8650983882673102 40
relu 0 0 1 40
relu6 0 0 1 6
selu -1.758099340847377 -1.111330737812563 1.05070098735548 42.02803949421921
sigmoid 4.248354255291589e-18 0.2689414213699951 0.7310585786300049 1
silu -1.699341702116636e-16 -0.2689414213699951 0.7310585786300049 40
soft_shrink -39.5 -0.5 0.5 39.5
softmax 1.804851387845415e-35 1.562882189334989e-18 1.154822417301579e-17 1
softplus 4.248354255291589e-18 0.3132616875182228 1.313261687518223 40
softsign -0.975609756097561 -0.5 0.5 0.975609756097561
sparse_plus 0 0 1 40
sparse_sigmoid 0 0 1 1
squareplus 0.02498439450078749 0.6180339887498949 1.618033988749895 40.02498439450079
swish -1.699341702116636e-16 -0.2689414213699951 0.7310585786300049 40
tanh -1 -0.7615941559557649 0.7615941559557649 1
tanh_shrink -39 -0.2384058440442351 0.2384058440442351 39
elu,0.3 -0.3 -0.1896361676485673 1 40
celu,0.3 -0.3 -0.2892978019958243 1 40
hard_sigmoid,0.2,0.5 0 0.3 0.7 1
hard_sigmoid,1/6,0.5 0 0.3333333333333333 0.6666666666666666 1
soft_shrink,1.5 -38.5 0 0 38.5
hard_shrink,1.5 -40 0 0 40
squareplus,1.0 0.006249023742554982 0.2071067811865476 1.207106781186547 40.00624902374255
threshold,0.5,-7.0 -7 -7 1 40
"""


def activation(words: str) -> Activation:
    """``name,alpha,beta`` -> the activation."""
    name, *numbers = words.split(",")
    return Activation(name, *(float(Fraction(number)) for number in numbers))


def _gelu_argument(x: float) -> float:
    return math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)


def rows(table: str) -> list[tuple[str, list[float]]]:
    lines = (line.split() for line in table.strip().splitlines())
    return [(words, [float(value) for value in values]) for words, *values in lines]


CASES = [(words, NEAR, values) for words, values in rows(KERAS_NEAR)] + [
    (words, FAR, values) for words, values in rows(KERAS_FAR)
]
# 16 digits are printed, and differences such as x - tanh(x) lose a digit or two of them. In
# float32 the input itself is rounded, and the same differences leave 1e-7 of the largest term.
RTOL = {"float64": 3e-13, "float32": 2e-6}
ATOL = {"float64": 1e-16, "float32": 1e-7}
# TensorFlow rounds their constants to float32 even where it computes in float64.
ROUNDED_IN_TENSORFLOW = {"gelu", "gelu_tanh"}
WITH_SETTINGS = {
    "affine": "affine,2,0.5",
    "hard_sigmoid": "hard_sigmoid,0.2,0.5",
    "scaled_tanh": "scaled_tanh,2,0.5",
    "threshold": "threshold,0.5,-7",
}
ALL = [WITH_SETTINGS.get(name, name) for name in sorted(NAMES)]


def test_the_table_covers_every_name_of_keras() -> None:
    beside = {"affine", "scaled_tanh", "thresholded_relu"}  # ONNX's
    below = {"identity", "leaky_relu", "sparsemax"}  # have tests of their own
    assert {words.split(",")[0] for words, _, _ in CASES} == NAMES - beside - below


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize(("words", "x", "expected"), CASES)
def test_values_are_those_of_keras(
    words: str, x: tuple[float, ...], expected: list[float], dtype: str
) -> None:
    result = apply(activation(words), np.array([x], dtype))

    assert result.dtype == dtype
    accuracy = "float32" if words in ROUNDED_IN_TENSORFLOW else dtype
    atol = ATOL[accuracy] * max(map(abs, x))
    np.testing.assert_allclose(result, [expected], rtol=RTOL[accuracy], atol=atol)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("linear", NEAR),
        ("identity", NEAR),
        ("leaky_relu", (-0.66, -0.08, 0.7, 2.6)),
        ("leaky_relu,0.3", (-0.99, -0.12, 0.7, 2.6)),
        ("relu,0.1", (-0.33, -0.04, 0.7, 2.6)),
        ("affine,2,0.5", (-6.1, -0.3, 1.9, 5.7)),
        ("scaled_tanh,3,0.5", [3 * math.tanh(0.5 * x) for x in NEAR]),
        ("gelu", [x * math.erfc(-x / math.sqrt(2)) / 2 for x in NEAR]),
        ("gelu_tanh", [x / (1 + math.exp(-2 * _gelu_argument(x))) for x in NEAR]),
        ("thresholded_relu", (0, 0, 0, 2.6)),
        ("thresholded_relu,0.5", (0, 0, 0.7, 2.6)),
    ],
)
def test_values_worked_out_by_hand(words: str, expected: tuple[float, ...]) -> None:
    result = apply(activation(words), np.array(NEAR))

    # One rounding; gelu_tanh adds a tanh near -1 to 1, which leaves 1e-16 of 1.
    np.testing.assert_allclose(result, expected, rtol=1e-15, atol=4e-16)


def test_sparsemax_is_keras_own() -> None:
    # Keras 3.15.1; with the definition of the paper it would be 0.5667, 0.2667, 0.1667, 0.
    result = apply(Activation("sparsemax"), np.array([[0.5, 0.2, 0.1, -0.6]]))

    np.testing.assert_allclose(result, [[0.16666666666666674, 0, 0, 0]], rtol=0, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["sigmoid", "softplus", "exponential"])
def test_small_results_keep_their_relative_accuracy(name: str, dtype: str) -> None:
    x = np.array([-80.0, -40.0, -17.0, -10.0, -5.0], dtype)
    exact = {
        "sigmoid": lambda v: math.exp(v) / (1 + math.exp(v)),
        "softplus": lambda v: math.log1p(math.exp(v)),
        "exponential": math.exp,
    }[name]

    result = apply(Activation(name), x)

    # Four units in the last place; a sigmoid through tanh would be off by 1 below -17.
    rtol = 4 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(result, [exact(float(v)) for v in x], rtol=rtol)


def test_log_sigmoid_is_the_logarithm_of_a_sigmoid_that_underflows() -> None:
    result = apply(Activation("log_sigmoid"), np.array([-1e4, -800.0], np.float32))

    np.testing.assert_array_equal(result, np.array([-1e4, -800.0], np.float32))


@pytest.mark.parametrize("words", ALL)
def test_nan_propagates(words: str) -> None:
    result = apply(activation(words), np.array([[np.nan, np.nan]]))

    assert np.isnan(result).all()


# Keras 3.15.1 on TensorFlow, at -inf and +inf; the two that mix elements had them in rows apart.
AT_INFINITY = """
celu -1 inf
elu -1 inf
exponential 0 inf
gelu nan inf
hard_shrink -inf inf
hard_sigmoid,0.2,0.5 0 1
hard_silu nan inf
hard_tanh -1 1
leaky_relu -inf inf
linear -inf inf
log_sigmoid -inf 0
mish nan inf
relu 0 inf
relu6 0 6
selu -1.7580993408473768 inf
sigmoid 0 1
silu nan inf
soft_shrink -inf inf
softmax nan nan
softplus 0 inf
softsign nan nan
sparse_plus 0 inf
sparse_sigmoid 0 1
squareplus nan inf
tanh -1 1
tanh_shrink -inf inf
"""


@pytest.mark.parametrize(("words", "expected"), rows(AT_INFINITY))
def test_infinities_give_what_keras_gives(words: str, expected: list[float]) -> None:
    result = [apply(activation(words), np.array([[x, x]]))[0, 0] for x in (-np.inf, np.inf)]

    np.testing.assert_allclose(result, expected, rtol=1e-15)


@pytest.mark.parametrize("words", [words for words in ALL if words != "glu"])
def test_in_place_gives_the_same_and_may_overwrite_its_input(words: str) -> None:
    x = np.linspace(-9, 9, 24).reshape(2, 3, 4)
    expected = apply(activation(words), x.copy())
    function = in_place(activation(words))
    out = np.empty_like(x)

    with quiet():
        function(x, out)
        function(x, x)

    np.testing.assert_allclose(out, expected, rtol=1e-15)
    np.testing.assert_array_equal(x, out)


def test_softmax_works_along_the_last_axis() -> None:
    x = np.arange(24.0).reshape(2, 3, 4) ** 1.5

    for name in ("softmax", "log_softmax"):
        result = apply(Activation(name), x)
        total = (np.exp(result) if name == "log_softmax" else result).sum(axis=-1)
        np.testing.assert_allclose(total, np.ones((2, 3)), rtol=1e-14)  # four roundings


def test_the_two_hard_sigmoids_differ() -> None:
    keras_2, keras_3 = Activation("hard_sigmoid", 0.2, 0.5), Activation("hard_sigmoid", 1 / 6, 0.5)
    x = np.array([2.5, -1.0])

    np.testing.assert_allclose(apply(keras_2, x), [1, 0.3], rtol=1e-15)
    np.testing.assert_allclose(apply(keras_3, x), [11 / 12, 1 / 3], rtol=1e-15)


@pytest.mark.parametrize(
    ("activation", "says"),
    [
        (Activation("snake"), "'snake' is not computed; there is: affine, celu"),
        (Activation("hard_sigmoid"), "missing a required argument: 'alpha'"),
        (Activation("tanh", 0.5), "unexpected keyword argument 'alpha'"),
    ],
)
def test_what_is_not_computed_is_refused(activation: Activation, says: str) -> None:
    for look_up in (lambda: apply(activation, np.ones(2)), lambda: in_place(activation)):
        with pytest.raises(UnsupportedFeatureError, match=says):
            look_up()


def test_glu_is_refused_for_cells() -> None:
    with pytest.raises(UnsupportedFeatureError, match="halves the number of units"):
        in_place(Activation("glu"))
