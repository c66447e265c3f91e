"""Writes the weights of three_steps.h5 as PyTorch, safetensors and ONNX have them.

Needs torch, safetensors and onnx. PyTorch's own numbers go to three_steps.torch.npz.
"""

from pathlib import Path

import h5py
import numpy as np
import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent


def nn_lstm() -> torch.nn.LSTM:
    """An nn.LSTM with the weights of the Keras file: PyTorch stacks the same gates as rows."""
    layer = torch.nn.LSTM(1, 1, batch_first=True)
    with h5py.File(HERE / "three_steps.h5") as file:
        cell = file["model_weights/lstm/lstm/lstm_cell"]
        arrays = [np.array(cell[f"{name}:0"]) for name in ("kernel", "recurrent_kernel", "bias")]
    kernel, recurrent, bias = (torch.tensor(array) for array in arrays)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(kernel.T)
        layer.weight_hh_l0.copy_(recurrent.T)
        layer.bias_ih_l0.copy_(bias)
        layer.bias_hh_l0.zero_()
    return layer.eval()


def main() -> None:
    layer = nn_lstm()
    torch.save(layer.state_dict(), HERE / "three_steps.pt")
    save_file(dict(layer.state_dict()), HERE / "three_steps.safetensors")
    x = torch.tensor(np.loadtxt(HERE / "three_steps.csv", skiprows=1, ndmin=2), dtype=torch.float32)
    torch.onnx.export(
        layer,
        (x[None],),
        str(HERE / "three_steps.onnx"),
        input_names=["x"],
        output_names=["output", "h_n", "c_n"],
        dynamic_axes={"x": {0: "batch", 1: "steps"}},
        dynamo=False,
    )
    with torch.no_grad():
        output, (h_n, c_n) = layer(x[None])
    arrays = {"x": x[None], "output": output, "h_n": h_n, "c_n": c_n}
    np.savez(
        HERE / "three_steps.torch.npz",
        **{name: array.numpy() for name, array in arrays.items()},
    )


if __name__ == "__main__":
    main()
