"""Make the files of torch/made and torch/same_weights: ``python tests/golden/make_torch.py``.

Needs torch 2.13, safetensors and, for the set of one model in every format, onnx. Each FILE comes
with a FILE.npz: ``x`` what the LSTM reads, (B, T, F), and what PyTorch gives for it in evaluation
mode: ``output`` (B, T, D·P), ``h_n``, ``c_n``. ``stepped_*`` hold h and c of every cell at every
step too, from stepping PyTorch's own cells one step at a time, aligned with the input's steps.
"""

import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations, prune

TORCH = Path(__file__).parent / "torch"
FOLDER = TORCH / "made"
warnings.simplefilter("ignore")
torch.serialization.get_source_lines_and_file = lambda kind: (["class MyLSTM: ...\n"], 0, "net.py")


class Net(nn.Module):
    """An embedding nobody feeds, an LSTM and a head."""

    def __init__(self, *sizes, **settings):
        super().__init__()
        self.emb = nn.Embedding(5, sizes[0])
        self.lstm = nn.LSTM(*sizes, batch_first=True, **settings)
        width = self.lstm.proj_size or self.lstm.hidden_size
        self.fc = nn.Linear(width * (1 + self.lstm.bidirectional), 2)

    def forward(self, x):
        y, (h, c) = self.lstm(x)
        return y, h, c, self.fc(y)


class MyLSTM(nn.LSTM):
    """A class of its own, of which a pickle holds the name alone."""


def seeded(seed, make, *arguments, **settings):
    torch.manual_seed(seed)
    return make(*arguments, **settings).eval()


def inputs(features, dtype=torch.float32, batch=2, steps=5):
    return torch.randn(batch, steps, features, generator=torch.Generator().manual_seed(7)).to(dtype)


def expect(name, lstm, x, **more):
    """What PyTorch gives for batch-first ``x``, whatever ``batch_first`` says."""
    with torch.no_grad():
        turned = x if lstm.batch_first else x.transpose(0, 1)
        y, (h, c) = lstm(turned)
        y = y if lstm.batch_first else y.transpose(0, 1)
    arrays = {"x": x, "output": y, "h_n": h, "c_n": c}
    arrays = {key: value.detach().numpy() for key, value in arrays.items()}
    np.savez(FOLDER / f"{name}.npz", **arrays, **more)


# -- states at every step


def stepped(name, lstm, x):
    """h and c of every cell at every step, by PyTorch's own cells run one step at a time."""
    states, below = {}, x
    for level in range(lstm.num_layers):
        outputs = []
        for way in ["", "_reverse"] if lstm.bidirectional else [""]:
            h, c = step_through(lstm, f"_l{level}{way}", below)
            part = f"l{level}" + (
                {"": "/forward", "_reverse": "/backward"}[way] if lstm.bidirectional else ""
            )
            states |= {f"{part}/h": h.numpy(), f"{part}/c": c.numpy()}
            outputs.append(h)
        below = torch.cat(outputs, -1)
    expect(name, lstm, x, **states)
    np.testing.assert_allclose(np.load(FOLDER / f"{name}.npz")["output"], below, atol=1e-6)


@torch.no_grad()
def step_through(lstm, suffix, x):
    names = [
        n
        for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        if hasattr(lstm, n + suffix)
    ]
    arrays = {n: getattr(lstm, n + suffix) for n in names}
    batch, steps, features = x.shape
    order = reversed(range(steps)) if suffix.endswith("reverse") else range(steps)
    found = {}
    if lstm.proj_size:  # nn.LSTMCell has no projection: a layer of one level, one step at a time
        cell = nn.LSTM(features, lstm.hidden_size, batch_first=True, proj_size=lstm.proj_size)
        cell.load_state_dict({f"{n}_l0": a for n, a in arrays.items()})
        state = torch.zeros(1, batch, lstm.proj_size), torch.zeros(1, batch, lstm.hidden_size)
        for t in order:
            _, state = cell(x[:, t : t + 1], state)
            found[t] = state[0][0], state[1][0]
    else:
        cell = nn.LSTMCell(features, lstm.hidden_size, dtype=x.dtype)
        cell.load_state_dict(arrays)
        state = (torch.zeros(batch, lstm.hidden_size, dtype=x.dtype),) * 2
        for t in order:
            state = cell(x[:, t], state)
            found[t] = state
    return tuple(torch.stack([found[t][k] for t in range(steps)], 1) for k in range(2))


def make_stepped():
    lstm = seeded(1, nn.LSTM, 3, 4, num_layers=2, bidirectional=True, proj_size=2, batch_first=True)
    torch.save(lstm.state_dict(), FOLDER / "stepped_proj.pt")
    stepped("stepped_proj", lstm, inputs(3))
    lstm = seeded(2, nn.LSTM, 3, 2, num_layers=2, bidirectional=True, dtype=torch.float64)
    torch.save(lstm, FOLDER / "stepped_float64_module.pt")
    stepped("stepped_float64_module", lstm, inputs(3, torch.float64))


# -- forms of weights


def make_weights():
    x = inputs(3)
    net = seeded(3, Net, 3, 2, num_layers=2)
    for name in ("weight_ih_l0", "weight_hh_l0", "weight_hh_l1"):
        prune.random_unstructured(net.lstm, name, amount=0.4)
    net.lstm(x)
    torch.save(net.state_dict(), FOLDER / "pruned.pt")
    expect("pruned", net.lstm, x)
    net = seeded(4, Net, 3, 2)
    with torch.no_grad():
        net.lstm.weight_hh_l0 *= 3
    parametrizations.weight_norm(net.lstm, "weight_hh_l0", dim=None)
    parametrizations.weight_norm(net.lstm, "weight_ih_l0", dim=1)
    with torch.no_grad():
        net.lstm.parametrizations.weight_ih_l0.original0 *= 1.5
    torch.save(net.state_dict(), FOLDER / "weightnorm_axes.pt")
    expect("weightnorm_axes", net.lstm, x)
    net = seeded(5, Net, 3, 2)
    nn.utils.weight_norm(net.lstm, "weight_hh_l0")
    with torch.no_grad():
        net.lstm.weight_hh_l0_g *= 2
    net.lstm(x)
    torch.save(net, FOLDER / "weightnorm_module.pt")
    expect("weightnorm_module", net.lstm, x)
    net = seeded(6, Net, 3, 2)
    parametrizations.spectral_norm(net.lstm, "weight_hh_l0")
    torch.save(net.state_dict(), FOLDER / "spectralnorm.pt")
    expect("spectralnorm", net.eval().lstm, x)
    net = seeded(6, Net, 3, 2)
    nn.utils.spectral_norm(net.lstm, "weight_hh_l0")
    torch.save(net.state_dict(), FOLDER / "spectralnorm_old.pt")
    expect("spectralnorm_old", net.eval().lstm, x)
    for name, register in (
        ("spectralnorm_trained", parametrizations.spectral_norm),
        ("spectralnorm_old_trained", nn.utils.spectral_norm),
    ):  # u and v that belong to weights of before, and an axis of one's own
        net = seeded(10, Net, 3, 2)
        register(net.lstm, "weight_hh_l0", n_power_iterations=2)
        register(net.lstm, "weight_ih_l0", dim=1)
        net.train().lstm(x)
        with torch.no_grad():
            for weight in net.lstm.parameters():
                weight += torch.randn_like(weight) / 4
        torch.save(net.state_dict(), FOLDER / f"{name}.pt")
        expect(name, net.eval().lstm, x)
    net = seeded(8, Net, 3, 2)
    dropped = {}
    for name, value in net.lstm.state_dict().items():
        raw = name == "weight_hh_l0"
        dropped[f"rnns.0.{'' if raw else 'module.'}{name}{'_raw' if raw else ''}"] = value
    torch.save(dropped, FOLDER / "weightdrop.pt")
    expect("weightdrop", net.lstm, x)


# -- storages


def make_storages():
    x = inputs(3)
    lstm = seeded(9, nn.LSTM, 3, 2, num_layers=2, bidirectional=True, batch_first=True)
    flat = torch.cat([p.detach().ravel() for p in lstm.parameters()])  # as cuDNN keeps weights
    shared, at = {}, 0
    for name, value in lstm.state_dict().items():
        shared[name] = flat[at : at + value.numel()].view(value.shape)
        at += value.numel()
    torch.save(shared, FOLDER / "one_storage.pt")
    torch.save(shared, FOLDER / "one_storage_stream.pt", _use_new_zipfile_serialization=False)
    expect("one_storage", lstm, x)
    expect("one_storage_stream", lstm, x)
    turned = {}
    for name, value in lstm.state_dict().items():
        wide = torch.zeros(*(2 * n + 1 for n in value.shape[::-1]))
        place = tuple(slice(1, None, 2) for _ in value.shape)
        wide[place] = value.T if value.ndim == 2 else value
        turned[name] = wide[place].T if value.ndim == 2 else wide[place]
    torch.save(turned, FOLDER / "strided.pt")
    expect("strided", lstm, x)
    with (FOLDER / "plain_pickle.pkl").open("wb") as file:
        pickle.dump(dict(lstm.state_dict()), file)
    expect("plain_pickle", lstm, x)
    with (FOLDER / "plain_pickle2.pkl").open("wb") as file:
        pickle.dump(lstm.state_dict(), file, protocol=2)
    expect("plain_pickle2", lstm, x)
    torch.save(lstm.state_dict(), FOLDER / "protocol5.pt", pickle_protocol=5)
    expect("protocol5", lstm, x)
    make_cuda(lstm, x)


def make_cuda(lstm, x):
    """As a machine with a GPU saves it: the same bytes under other names."""
    tag = torch.serialization.location_tag
    torch.serialization.location_tag = lambda storage: "cuda:0"
    try:
        torch.save(lstm.state_dict(), FOLDER / "cuda.pt")
        torch.save(
            lstm.state_dict(), FOLDER / "cuda_stream.pt", _use_new_zipfile_serialization=False
        )
    finally:
        torch.serialization.location_tag = tag
    path = FOLDER / "cuda_stream.pt"
    path.write_bytes(
        path.read_bytes().replace(b"ctorch\nFloatStorage\n", b"ctorch.cuda\nFloatStorage\n")
    )
    expect("cuda", lstm, x)
    expect("cuda_stream", lstm, x)


# -- checkpoints and modules


def make_checkpoints():
    one, two = seeded(10, Net, 3, 2), seeded(11, Net, 3, 2, bidirectional=True)
    average = {name: value * 0.5 for name, value in one.state_dict().items()}
    optimizer = {name: torch.zeros_like(value) for name, value in one.state_dict().items()}
    compiled = {f"_orig_mod.module.{name}": value for name, value in two.state_dict().items()}
    checkpoint = {
        "epoch": 3,
        "args": {"hidden": 2, "words": ["a", "b"]},
        "nets": {"model": one.state_dict(), "ema": average},
        "critic": [compiled],
        "optimizer": {"exp_avg": optimizer, "step": 3},
        "best": torch.tensor(0.5),
    }
    torch.save(checkpoint, FOLDER / "checkpoint.tar")
    expect("checkpoint", two.lstm, inputs(3))
    bare = {"encoder": one.lstm.state_dict(), "decoder": two.lstm.state_dict()}
    torch.save(bare, FOLDER / "two_bare.pt")
    others = nn.ModuleDict(
        {
            "gru": nn.GRU(3, 2, num_layers=2),
            "rnn": nn.RNN(3, 2),
            "gru_cell": nn.GRUCell(3, 2),
            "cell": nn.LSTMCell(3, 2),
            "fc": nn.Linear(2, 1),
        }
    )
    torch.save(others.state_dict(), FOLDER / "kinds.pt")
    lstm = seeded(12, nn.LSTM, 3, 2, num_layers=2, dropout=0.25)
    torch.save(nn.ModuleDict({"a": nn.Sequential(lstm), "b": nn.GRU(2, 2)}), FOLDER / "module.pkl")
    expect("module", lstm, inputs(3))
    own = seeded(13, MyLSTM, 3, 2, batch_first=True)
    torch.save({"model": own, "step": 1}, FOLDER / "own_class.pt")
    expect("own_class", own, inputs(3))
    torch.save(own, FOLDER / "own_class_stream.pt", _use_new_zipfile_serialization=False)
    expect("own_class_stream", own, inputs(3))


def make_quantised():
    net = seeded(14, Net, 3, 2, num_layers=2, bidirectional=True)
    x = inputs(3)
    for name, dtype in (("int8", torch.qint8), ("float16", torch.float16)):
        small = torch.ao.quantization.quantize_dynamic(net, {nn.LSTM}, dtype=dtype)
        plain = nn.LSTM(3, 2, num_layers=2, bidirectional=True, batch_first=True)
        plain.load_state_dict(dequantised(small.lstm))
        torch.save(small.state_dict(), FOLDER / f"quantised_{name}.pt")
        save_script(torch.jit.script(small), FOLDER / f"quantised_{name}_script.pt")
        with torch.no_grad():
            own = small.lstm(x)[0].numpy()
        expect(f"quantised_{name}", plain, x, framework=own)
        expect(f"quantised_{name}_script", plain, x, framework=own)


def dequantised(lstm):
    """The weights of a quantised LSTM as those of a plain one."""
    found = lstm.get_weight() | lstm.get_bias()
    return {
        name: value.dequantize() if value.is_quantized else value for name, value in found.items()
    }


def make_script():
    net = seeded(15, Net, 3, 2, num_layers=2)
    x = inputs(3)
    save_script(torch.jit.freeze(torch.jit.script(net)), FOLDER / "frozen.pt")
    expect("frozen", net.lstm, x)
    save_script(torch.jit.trace(net.half(), x.half()), FOLDER / "trace_half.pt")
    expect("trace_half", net.float().lstm, x)


def save_script(module, path):
    """TorchScript without the members that name the folders of whoever saved it."""
    module.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {info: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for info, content in members.items():
            if not info.filename.endswith(".debug_pkl"):
                archive.writestr(info, content)
    torch.jit.load(path)


# -- one model in every format


def make_same_weights():
    folder = TORCH / "same_weights"
    folder.mkdir(exist_ok=True)
    net = seeded(17, Net, 3, 4, num_layers=2, bidirectional=True)
    x = inputs(3, batch=2, steps=6)
    torch.save(net.state_dict(), folder / "state_dict.pt")
    torch.save(net, folder / "module.pt")
    torch.save(net.state_dict(), folder / "stream.pt", _use_new_zipfile_serialization=False)
    save_file(net.state_dict(), folder / "weights.safetensors", {"format": "pt"})
    save_script(torch.jit.script(net), folder / "script.pt")
    save_script(torch.jit.trace(net, x), folder / "trace.pt")
    names = ["y", "h", "c", "z"]
    torch.onnx.export(
        net, (x,), folder / "model.onnx", dynamo=False, input_names=["x"], output_names=names
    )
    stepped("../same_weights/expected", net.lstm, x)


def make_safetensors():
    net = seeded(18, Net, 3, 2)
    for name, dtype in (("bfloat16", torch.bfloat16), ("float16", torch.float16)):
        small = {key: value.to(dtype) for key, value in net.state_dict().items()}
        save_file(small, FOLDER / f"{name}.safetensors")
        plain = seeded(18, Net, 3, 2)
        plain.load_state_dict({key: value.float() for key, value in small.items()})
        expect(name, plain.lstm, inputs(3))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True, parents=True)
    make_stepped()
    make_weights()
    make_storages()
    make_checkpoints()
    make_quantised()
    make_script()
    make_same_weights()
    make_safetensors()
