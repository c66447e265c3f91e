"""Makes ``lengths/``: exports of PyTorch whose LSTMs read transposed input, run on unequal lengths.

    python make_lengths.py

``CASE_script.onnx`` is by the exporter of TorchScript, ``CASE_dynamo.onnx`` by that of
``torch.export``. ``CASE.npz`` holds ``x``, ``lengths`` and, as ``y0 y1 …``, what PyTorch 2.13.0
returns for each sequence packed; zeros fill up what is behind an end. It is checked here that
onnxruntime 1.31.1 returns the same for both files once their LSTM nodes get ``sequence_lens``.
Written with onnx 1.23.2 and onnxscript 0.7.2.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

FOLDER = Path(__file__).parent / "lengths"
LENGTHS = torch.tensor([6, 4, 3, 1])
B, T, F = 4, 6, 3


class Model(torch.nn.Module):
    """``layer`` runs an LSTM on (B, T, F): as it is, or packed."""

    packed = False

    def layer(self, lstm, x):
        """Its outputs (B, T, U), and its states."""
        if not self.packed:
            return lstm(x) if lstm.batch_first else self.time_first(lstm, x)
        given = pack_padded_sequence(x, LENGTHS, batch_first=True)
        y, states = lstm(given)
        return pad_packed_sequence(y, batch_first=True, total_length=T)[0], states

    @staticmethod
    def time_first(lstm, x):
        y, states = lstm(x.transpose(0, 1))
        return y.transpose(0, 1), states


class OneWay(Model):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(F, 2, batch_first=True)

    def forward(self, x):
        y, (h, c) = self.layer(self.lstm, x)
        return y, h, c


class Stacked(Model):
    """Two levels, both ways."""

    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(F, 2, num_layers=2, bidirectional=True, batch_first=True)

    def forward(self, x):
        y, (h, c) = self.layer(self.lstm, x)
        return y, h, c


class Residual(Model):
    """Layers that stand side by side and after each other; one result is (T, B, U)."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.LSTM(F, F)
        self.second = torch.nn.LSTM(F, 2, bidirectional=True, batch_first=True)
        self.head = torch.nn.Linear(4, 2)

    def forward(self, x):
        y, _ = self.layer(self.first, x)
        z, _ = self.layer(self.second, torch.relu(y) + x)
        return self.head(z).transpose(0, 1), z[..., 0] * z[..., 3]


CASES = {"one_way": OneWay, "stacked": Stacked, "residual": Residual, "fixed": Stacked}
"""``fixed`` has no open axes."""


def export(case, model, x):
    names = {"input_names": ["x"]}
    path = FOLDER / f"{case}_script.onnx"
    axes = {} if case == "fixed" else {"dynamic_axes": {"x": {0: "B", 1: "T"}}}
    torch.onnx.export(model, (x,), path, dynamo=False, opset_version=17, **names, **axes)
    shapes = ({0: torch.export.Dim("B"), 1: torch.export.Dim.AUTO},)
    axes = {} if case == "fixed" else {"dynamic_shapes": shapes}
    path = FOLDER / f"{case}_dynamo.onnx"
    torch.onnx.export(model, (x,), path, dynamo=True, external_data=False, **names, **axes)
    plain = onnx.load(path)
    for node in plain.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in plain.graph.value_info:
        del value.metadata_props[:]
    onnx.save(plain, path)


def by_onnxruntime(path, x):
    model = onnx.load(path)
    port = onnx.helper.make_tensor_value_info("lengths", onnx.TensorProto.INT32, [B])
    model.graph.input.append(port)
    for node in model.graph.node:
        if node.op_type == "LSTM":
            node.input.extend([""] * (5 - len(node.input)))
            node.input[4] = "lengths"
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": x.numpy(), "lengths": LENGTHS.numpy().astype(np.int32)})


def ended(array, steps_first):
    """Zeros behind each sequence's end."""
    inside = (torch.arange(T) < LENGTHS[:, None]).numpy()
    inside = inside.T if steps_first else inside
    return np.where(inside.reshape(inside.shape + (1,) * (array.ndim - 2)), array, 0)


def make(case, seed):
    torch.manual_seed(seed)
    model, x = CASES[case]().eval(), torch.randn(B, T, F)
    export(case, model, x)
    model.packed = True
    found = [y.detach().numpy() for y in model(x)]
    per_step = 1 if len(found) == 3 else 2  # the others are states
    arrays = {}
    for k, y in enumerate(found):
        first = case == "residual" and k == 0
        arrays[f"y{k}"] = ended(y, first) if k < per_step else y
    for path in (FOLDER / f"{case}_script.onnx", FOLDER / f"{case}_dynamo.onnx"):
        for k, y in enumerate(by_onnxruntime(path, x)):
            y = ended(y, case == "residual" and k == 0) if k < per_step else y
            np.testing.assert_allclose(y, arrays[f"y{k}"], rtol=0, atol=1e-6)
    np.savez_compressed(FOLDER / f"{case}.npz", x=x.numpy(), lengths=LENGTHS.numpy(), **arrays)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for seed, case in enumerate(CASES):
        make(case, seed)
