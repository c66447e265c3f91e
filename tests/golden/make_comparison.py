"""Writes the files of ``comparison``: models, and what the frameworks themselves compute with them.

Written with torch 2.13 (``torch.onnx.export`` of opset 17) and onnxruntime 1.31.

    python tests/golden/make_comparison.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnx import helper, numpy_helper, save
from torch import nn

FOLDER = Path(__file__).parent / "comparison"


def pytorch() -> None:
    """Two levels, two directions, projections; in single and in double precision."""
    torch.manual_seed(0)
    lstm = nn.LSTM(5, 6, 2, proj_size=3, bidirectional=True, batch_first=True).eval()
    x = torch.randn(3, 7, 5)
    torch.save(lstm.state_dict(), FOLDER / "projected.pt")
    found = {"x": x}
    for kind, model in (("float32", lstm), ("float64", lstm.double())):
        output, (h, c) = model(x.to(next(model.parameters()).dtype))
        found |= {f"{kind}.output": output, f"{kind}.h_n": h, f"{kind}.c_n": c}
    np.savez(FOLDER / "projected.npz", **{k: v.detach().numpy() for k, v in found.items()})


class BatchFirst(nn.Module):
    """Exported, it turns the axes of its input before the LSTM node, and back behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(5, 4, bidirectional=True, batch_first=True)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        output, (h, _) = self.lstm(x)
        return output, h


def exported() -> None:
    torch.manual_seed(1)
    x, path = torch.randn(3, 7, 5), str(FOLDER / "batch_first.onnx")
    torch.onnx.export(
        *(BatchFirst().eval(), (x,), path),
        dynamo=False,
        opset_version=17,
        input_names=["x"],
        output_names=["y", "h"],
        dynamic_axes={"x": {0: "B", 1: "T"}, "y": {0: "B", 1: "T"}, "h": {1: "B"}},
    )
    session = onnxruntime.InferenceSession(path)
    y, h = session.run(None, {"x": x.numpy()})
    np.savez(FOLDER / "batch_first.npz", x=x.numpy(), y=y, h=h)


def lengths() -> None:
    """An LSTM node that gets the lengths of its sequences, of which one has no step."""
    random = np.random.default_rng(3)
    w, r, b = (
        (random.standard_normal(shape) * 0.5).astype(np.float32)
        for shape in ((2, 16, 3), (2, 16, 4), (2, 32))
    )
    names = ["X", "W", "R", "B", "lens"]
    node = helper.make_node(
        "LSTM", names, ["Y", "Yh", "Yc"], name="lstm", hidden_size=4, direction="bidirectional"
    )
    port = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "graph",
        [port("X", 1, ["T", "B", 3]), port("lens", 6, ["B"])],
        [port("Y", 1, ["T", 2, "B", 4]), *(port(n, 1, [2, "B", 4]) for n in ("Yh", "Yc"))],
        [numpy_helper.from_array(a, n) for a, n in ((w, "W"), (r, "R"), (b, "B"))],
    )
    opsets = [helper.make_opsetid("", 14)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=8), FOLDER / "lengths.onnx")
    given = {
        "X": random.standard_normal((6, 3, 3)).astype(np.float32),
        "lens": np.array([6, 2, 0], np.int32),
    }
    session = onnxruntime.InferenceSession(FOLDER / "lengths.onnx")
    found = dict(zip(("Y", "Yh", "Yc"), session.run(None, given), strict=True))
    np.savez(FOLDER / "lengths.npz", **given, **found)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    pytorch()
    exported()
    lengths()
