"""Make the files of torch/older: ``python tests/golden/make_old_torch.py`` with an old PyTorch.

Needs PyTorch 1.0 to 1.5 alone; the files in the repository are of 1.2.0 and 1.5.1, which its cases
name. Each FILE comes with a FILE.npz as those of ``make_torch.py`` do.
"""

import argparse
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

VERSION = torch.__version__.split("+")[0]
FOLDER = Path(__file__).parent / "torch" / "older"


class Net(nn.Module):
    """An LSTM and a head."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 2, num_layers=2, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(self.lstm(x)[0])


def expect(name, lstm, x):
    with torch.no_grad():
        y, (h, c) = lstm(x)
    arrays = {"x": x, "output": y, "h_n": h, "c_n": c}
    arrays = {key: value.numpy() for key, value in arrays.items()}
    np.savez(str(FOLDER / (name + ".npz")), **arrays)


def without_places(path):
    """Take the folders of whoever saved it out of a file: debug members, the places of sources."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            members = {info: archive.read(info) for info in archive.infolist()}
        with zipfile.ZipFile(path, "w") as archive:
            for info, content in members.items():
                if "/debug/" not in info.filename:
                    archive.writestr(info, content)
        return
    place = str(Path(torch.__file__).parent.parent).encode()
    content = Path(path).read_bytes()
    Path(path).write_bytes(content.replace(place, b"-" * len(place)))


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(int(VERSION.split(".")[1]))
    net, x = Net().eval(), torch.randn(2, 5, 3)
    path = str(FOLDER / VERSION)
    if VERSION < "1.3":
        torch.jit.trace(net, x).save(path + "_trace.pt")
        without_places(path + "_trace.pt")
        expect(VERSION + "_trace", net.lstm, x)
        optimizer = torch.optim.Adam(net.parameters())
        net(x).sum().backward()
        optimizer.step()
        settings = argparse.Namespace(hidden=2, device=torch.device("cpu"))
        values = {"args": settings, "model": net.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save(dict(values, best=np.float64(0.5), steps=np.arange(3)), path + "_checkpoint.pth")
        expect(VERSION + "_checkpoint", net.lstm, x)
        return
    torch.save(net.state_dict(), path + "_zip.pt", _use_new_zipfile_serialization=True)
    expect(VERSION + "_zip", net.lstm, x)
    small = torch.quantization.quantize_dynamic(net, {nn.LSTM}, dtype=torch.qint8)
    torch.save(small.state_dict(), path + "_quantised.pt")
    torch.save(small.lstm, path + "_quantised_module.pt")
    without_places(path + "_quantised_module.pt")
    plain = nn.LSTM(3, 2, num_layers=2, bidirectional=True, batch_first=True)
    arrays = {}
    for key, value in small.lstm.state_dict().items():
        _, number, part = key.split(".")
        cell, on_state = divmod(int(number), 2)
        level, backward = divmod(cell, 2)
        name = "{}_{}_l{}{}".format(part, "hh" if on_state else "ih", level, "_reverse" * backward)
        arrays[name] = value.dequantize() if value.is_quantized else value
    plain.load_state_dict(arrays)
    expect(VERSION + "_quantised", plain, x)
    expect(VERSION + "_quantised_module", plain, x)


if __name__ == "__main__":
    main()
