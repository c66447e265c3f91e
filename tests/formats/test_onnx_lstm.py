"""The LSTM operator as a layer: orders, attributes, states, quantised weights, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_files import (
    LSTM_OUTPUTS,
    X,
    graph,
    lstm_model,
    model,
    node,
    port,
    saved,
    tensor,
    tensor_field,
    weights,
)

import lstm_cli
from lstm_cli.formats.protobuf import encoded
from lstm_cli.model import Activation, Array, Constant, Layer, LstmCell, Reference, Unsupported

I, O, F, G = range(4)  # ONNX's order of the gates


def loaded(folder: Path, content: bytes) -> lstm_cli.Model:
    return lstm_cli.load(saved(folder, content))


def the_layer(found: lstm_cli.Model) -> Layer:
    (layer,) = (layer for layer in found.layers if layer.kind in ("LSTM", "DynamicQuantizeLSTM"))
    return layer


def the_cell(found: lstm_cli.Model, direction: int = 0) -> LstmCell:
    recurrent = the_layer(found).recurrent
    assert recurrent is not None
    (cell,) = recurrent.directions[direction].cells
    assert isinstance(cell, LstmCell)
    return cell


def reason(found: lstm_cli.Model) -> str:
    operation = the_layer(found).operation
    assert isinstance(operation, Unsupported)
    return operation.reason


# -- orders


def test_gates_go_from_i_o_f_c_to_i_f_g_o(tmp_path: Path) -> None:
    """Trap: the order i o f c, and peepholes in the order i o f; every row tells where it was."""
    blocks = np.repeat(np.arange(4, dtype=np.float32), 2)  # i i o o f f c c
    w = blocks[None, :, None] * 10 + np.arange(3, dtype=np.float32)
    r = blocks[None, :, None] * 10 + np.arange(2, dtype=np.float32) + 100
    b = np.concatenate([blocks, blocks * 100])[None]
    p = np.repeat(np.arange(3, dtype=np.float32), 2)[None]
    arrays = {"W": w, "R": r, "B": b, "P": p}
    operator = node("LSTM", ["X", "W", "R", "B", "", "", "", "P"], ["Y"], hidden_size=2)
    content = model(graph([operator], [X], ["Y"], [tensor(*each) for each in arrays.items()]))

    cell = the_cell(loaded(tmp_path, content))

    expected = np.repeat([I, F, G, O], 2)
    np.testing.assert_array_equal(cell.kernel, expected * 10 + np.arange(3)[:, None])
    np.testing.assert_array_equal(
        cell.recurrent_kernel, expected * 10 + np.arange(2)[:, None] + 100
    )
    np.testing.assert_array_equal(cell.bias, expected * 101)  # both biases are added
    np.testing.assert_array_equal(cell.peepholes, np.repeat([[I], [F], [O]], 2, axis=1))


def test_directions_and_layouts(tmp_path: Path) -> None:
    content = lstm_model(tensors=weights(2, 3, 2), direction="bidirectional", layout=1)

    layer = the_layer(loaded(tmp_path, content))

    assert layer.recurrent is not None
    assert [way.name for way in layer.recurrent.directions] == ["forward", "backward"]
    assert [way.go_backwards for way in layer.recurrent.directions] == [False, True]
    assert (layer.recurrent.convention, layer.recurrent.time_major) == ("onnx batchwise", False)
    assert layer.parameters == 2 * (8 * 3 + 8 * 2 + 16)
    (alone,) = loaded(tmp_path, lstm_model(direction="reverse")).lstm_layers
    assert alone.recurrent is not None
    assert [(way.name, way.go_backwards) for way in alone.recurrent.directions] == [("", True)]
    assert (alone.recurrent.convention, alone.recurrent.time_major) == ("onnx", True)


# -- attributes


def test_numbers_go_to_the_activations_that_take_them(tmp_path: Path) -> None:
    """Trap: names in any case; Tanh takes none of the numbers, LeakyRelu one of a pair."""
    settings: dict[str, Any] = {
        "activations": ["HARDSIGMOID", "tanh", "LeakyRelu", "Sigmoid", "ScaledTanh", "softsign"],
        "activation_alpha": [0.3, 0.1, 1.5],
        "activation_beta": [0.4, 0.7],
    }
    both = loaded(
        tmp_path, lstm_model(tensors=weights(2, 3, 2), direction="bidirectional", **settings)
    )
    first, second = the_cell(both, 0), the_cell(both, 1)
    for found, name, numbers in (
        (first.recurrent_activation, "hard_sigmoid", [0.3, 0.4]),
        (first.output_activation, "leaky_relu", [0.1, None]),
        (second.activation, "scaled_tanh", [1.5, 0.7]),
    ):
        assert found is not None
        assert found.name == name
        assert [found.alpha, found.beta] == pytest.approx(numbers)  # they are float32 in the file
    assert first.activation == Activation("tanh")
    assert second.recurrent_activation == Activation("sigmoid")
    assert second.output_activation == Activation("softsign")


def test_a_list_of_numbers_that_is_too_short(tmp_path: Path) -> None:
    names = ["HardSigmoid", "ScaledTanh", "ScaledTanh"]
    content = lstm_model(activations=names, activation_alpha=[0.3, 1.5], activation_beta=[0.5, 0.7])

    assert "ScaledTanh has no alpha" in reason(loaded(tmp_path, content))


def test_defaults_where_all_runtimes_agree(tmp_path: Path) -> None:
    content = lstm_model(activations=["HardSigmoid", "LeakyRelu", "Elu"])

    cell = the_cell(loaded(tmp_path, content))

    assert cell.recurrent_activation == Activation("hard_sigmoid", 0.2, 0.5)
    assert cell.activation == Activation("leaky_relu", 0.01)
    assert cell.output_activation == Activation("elu", 1.0)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"activations": ["Sigmoid", "Affine", "Tanh"]}, "Affine has no alpha"),
        ({"activations": ["ThresholdedRelu", "Tanh", "Tanh"]}, "ThresholdedRelu has no alpha"),
        ({"activations": ["Sigmoid", "Mish", "Tanh"]}, "'Mish' is not one of ONNX's"),
        ({"activations": ["Sigmoid", "Tanh"]}, "2 activations, expected 3"),
        ({"clip": 0.0}, "its clip is 0"),
        ({"clip": -1.0}, "its clip is -1"),
        ({"direction": "sideways"}, "its direction is 'sideways'"),
        ({"layout": 2}, "its layout is 2"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], told: str, tmp_path: Path) -> None:
    found = loaded(tmp_path, lstm_model(**settings))

    assert told in reason(found)
    assert [entry["address"] for entry in lstm_cli.inspect(found)["unsupported"]] == ["lstm"]


def test_clip_and_input_forget(tmp_path: Path) -> None:
    cell = the_cell(loaded(tmp_path, lstm_model(clip=0.5, input_forget=1)))

    assert (cell.clip, cell.coupled) == (0.5, "f")


def test_a_hidden_size_that_is_not_that_of_the_weights(tmp_path: Path) -> None:
    operator = node("LSTM", ["X", "W", "R"], ["Y"], "lstm", hidden_size=3)
    found = loaded(tmp_path, model(graph([operator], [X], ["Y"], weights())))

    assert reason(found) == "its hidden_size is 3, its recurrent weights have 2"


def test_weights_of_unfit_shapes(tmp_path: Path) -> None:
    arrays = [
        tensor("W", np.ones((1, 8, 3), np.float32)),
        tensor("R", np.ones((1, 7, 2), np.float32)),
    ]
    operator = node("LSTM", ["X", "W", "R"], ["Y"], "lstm")
    found = loaded(tmp_path, model(graph([operator], [X], ["Y"], arrays)))

    assert reason(found) == "its R has the shape (1, 7, 2), expected (1, 8, 2)"


def test_an_operator_without_its_inputs(tmp_path: Path) -> None:
    operator = node("LSTM", ["", "W", "R"], ["Y"], "lstm")
    found = loaded(tmp_path, model(graph([operator], [X], ["Y"], weights())))

    assert reason(found) == "it has no X"


def test_weights_that_are_no_constants(tmp_path: Path) -> None:
    """ONNX's own tests of the operator have its weights as inputs of the model."""
    kept = weights()[1:]
    given = lstm_model(inputs=[X, port("W", 1, [1, 8, 3])], tensors=kept)
    drawn = lstm_model(node("RandomNormal", [], ["W"], "drawn", shape=[1, 8, 3]), tensors=kept)
    moved = lstm_model(
        node("Transpose", ["V"], ["W"]), inputs=[X, port("V", 1, [3, 8, 1])], tensors=kept
    )

    assert reason(loaded(tmp_path, given)) == "its W depends on the model's input 'W'"
    assert "its W comes from RandomNormal 'drawn'" in reason(loaded(tmp_path, drawn))
    assert reason(loaded(tmp_path, moved)) == "its W depends on the model's input 'V'"


# -- states and lengths


def states(*inputs: str) -> bytes:
    names = ["X", "W", "R", "B", "", *inputs]
    return node("LSTM", names, LSTM_OUTPUTS, "lstm", hidden_size=2)


def test_states_that_are_zeros_in_any_shape_are_none(tmp_path: Path) -> None:
    """Trap: exporters build them with Shape, Gather, Concat, ConstantOfShape, Slice, Expand."""
    numbers = {"one": 1, "two": 2}
    tensors = [*weights(), *(tensor(name, np.array([n])) for name, n in numbers.items())]
    tensors += [tensor("first", np.array(1)), tensor("none", np.zeros((), np.float32))]
    nodes = [
        node("Shape", ["X"], ["shape"]),
        node("Gather", ["shape", "first"], ["batch_flat"], axis=0),
        node("Unsqueeze", ["batch_flat", "zero"], ["batch"]),
        node("Concat", ["one", "batch", "two"], ["wanted"], axis=0),
        node("ConstantOfShape", ["wanted"], ["all"]),
        node("Slice", ["all", "zero", "one", "zero"], ["h0"]),
        node("Expand", ["none", "wanted"], ["c0"]),
    ]
    tensors.append(tensor("zero", np.array([0])))
    content = model(graph([*nodes, states("h0", "c0")], [X], LSTM_OUTPUTS, tensors))

    found = loaded(tmp_path, content)

    assert found.calls[-1].initial_state == ()
    assert "lstm: its initial states are zeros unless given" in found.assumptions
    assert [layer.kind for layer in found.layers] == ["Input", "LSTM"]


def test_states_filled_with_another_number_are_no_zeros(tmp_path: Path) -> None:
    fill = tensor_field(tensor("", np.array([0.5], np.float32)))
    nodes = [
        node("Shape", ["X"], ["shape"]),
        node("ConstantOfShape", ["shape"], ["h0"], value=fill),
    ]
    content = model(graph([*nodes, states("h0")], [X], LSTM_OUTPUTS, weights()))

    call = loaded(tmp_path, content).calls[-1]

    assert isinstance(call.initial_state[0], Reference)
    assert isinstance(call.initial_state[1], Constant)
    assert not call.initial_state[1].value.any()


def test_one_state_alone_and_constant_lengths(tmp_path: Path) -> None:
    c0 = np.arange(4, dtype=np.float32).reshape(1, 2, 2)
    tensors = [*weights(), tensor("c0", c0), tensor("lens", np.array([2, 1], np.int32))]
    operator = node("LSTM", ["X", "W", "R", "B", "lens", "", "c0"], LSTM_OUTPUTS, hidden_size=2)
    found = loaded(tmp_path, model(graph([operator], [X], LSTM_OUTPUTS, tensors)))
    call = found.calls[-1]

    assert isinstance(call.lengths, Constant)
    np.testing.assert_array_equal(call.lengths.value, [2, 1])
    h, c = (state.value for state in call.initial_state if isinstance(state, Constant))
    np.testing.assert_array_equal(np.broadcast_to(h, (1, 2, 2)), 0)
    np.testing.assert_array_equal(c, c0)
    y, _, y_c = lstm_cli.run(found, np.zeros((3, 2, 3), np.float32))
    np.testing.assert_array_equal(y[1:, :, 1], 0)  # the second sequence has one step
    assert y_c.shape == (1, 2, 2)


# -- quantised weights


def quantised(scale: Array, zero: Array) -> bytes:
    whole = np.arange(3 * 8, dtype=np.uint8).reshape(1, 3, 8)
    recurrent = np.arange(2 * 8, dtype=np.uint8).reshape(1, 2, 8) + 100
    arrays = {"W": whole, "R": recurrent, "s": scale, "z": zero}
    operator = node(
        "DynamicQuantizeLSTM",
        ["X", "W", "R", "", "", "", "", "", "s", "z", "s", "z"],
        ["Y"],
        "lstm",
        "com.microsoft",
        hidden_size=2,
    )
    return model(graph([operator], [X], ["Y"], [tensor(*each) for each in arrays.items()]))


@pytest.mark.parametrize("per_column", [False, True])
def test_quantised_weights_stand_transposed(per_column: bool, tmp_path: Path) -> None:
    """Trap: (D, F, 4U) and (D, U, 4U), with one scale for all or one a column."""
    count = 8 if per_column else 1
    scale = (np.arange(count, dtype=np.float32) + 1)[None] / 10
    zero = np.arange(count, dtype=np.uint8)[None] + 3
    scale, zero = (scale, zero) if per_column else (scale[0], zero[0])

    found = loaded(tmp_path, quantised(scale, zero))

    cell = the_cell(found)
    whole = np.arange(24).reshape(3, 8) - zero.astype(int)
    order = [0, 1, 4, 5, 6, 7, 2, 3]  # i i f f g g o o
    np.testing.assert_allclose(cell.kernel, (whole * scale)[:, order], rtol=1e-6)
    recurrent = (np.arange(16).reshape(2, 8) + 100 - zero.astype(int)) * scale
    np.testing.assert_allclose(cell.recurrent_kernel, recurrent[:, order], rtol=1e-6)
    assert any(note.startswith("lstm: its weights are dequantised") for note in found.assumptions)


def test_weights_of_four_bits_in_blocks(tmp_path: Path) -> None:
    """DequantizeLinear with a scale for each block of two rows, of int4 packed two in a byte."""
    whole = np.arange(24).reshape(1, 8, 3) % 16 - 8
    flat = (whole.ravel() & 15).astype(np.uint8)
    packed = flat[0::2] | flat[1::2] << 4
    stored = b"".join(encoded(1, n) for n in whole.shape) + encoded(2, 22) + encoded(8, "Q")
    scale = np.arange(1, 13, dtype=np.float32).reshape(1, 4, 3)
    tensors = [*weights()[1:], stored + encoded(9, packed.tobytes()), tensor("s", scale)]
    chain = node("DequantizeLinear", ["Q", "s"], ["W"], axis=1, block_size=2)

    cell = the_cell(loaded(tmp_path, lstm_model(chain, tensors=tensors)))

    expected = (whole * np.repeat(scale, 2, axis=1))[0].T[:, [0, 1, 4, 5, 6, 7, 2, 3]]
    np.testing.assert_array_equal(cell.kernel, expected)


def test_half_precision_weights_are_computed_in_single(tmp_path: Path) -> None:
    halves = [
        tensor(name, (np.arange(np.prod(shape)) / 8).reshape(shape).astype(np.float16))
        for name, shape in {"W": (1, 8, 3), "R": (1, 8, 2), "B": (1, 16)}.items()
    ]

    found = loaded(tmp_path, lstm_model(tensors=halves))

    assert the_cell(found).kernel.dtype == np.float32
    assert the_layer(found).dtype == "float32"
    assert "lstm: its weights are float16; it is computed in float32" in found.assumptions


def test_bfloat16_is_read_from_its_bits(tmp_path: Path) -> None:
    bits = np.full((1, 8, 3), 0x3FC0, np.uint16)  # 1.5
    stored = b"".join(encoded(1, n) for n in bits.shape) + encoded(2, 16) + encoded(8, "W")
    tensors = [stored + encoded(9, bits.tobytes()), *weights()[1:]]

    np.testing.assert_array_equal(
        the_cell(loaded(tmp_path, lstm_model(tensors=tensors))).kernel, 1.5
    )
