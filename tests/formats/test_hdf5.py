"""HDF5 as Keras writes it, and as a file from a stranger may hold it.

Arrays that a file holds are compared exactly, bit for bit.
"""

from __future__ import annotations

import json
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from golden_files import COMMITTED, Array
from keras_files import (
    layer,
    lstm,
    path_weights,
    random_lstm,
    sequential,
    write_archive,
    write_groups,
    write_hdf5,
)

import lstm_cli

KERNEL, RECURRENT, BIAS = random_lstm(1, 3, 4)
NAMES = ("lstm/kernel:0", "lstm/recurrent_kernel:0", "lstm/bias:0")
GROUP = dict(zip(NAMES, (KERNEL, RECURRENT, BIAS), strict=True))
MODEL = sequential(lstm("lstm", 4))


def whole(path: Path) -> Path:
    return write_hdf5(path, MODEL, {"lstm": GROUP})


def check_weights(path: Path, kernel: Array = KERNEL) -> lstm_cli.Model:
    model = lstm_cli.load(path)
    found = lstm_cli.weights(model, "lstm")
    np.testing.assert_array_equal(found["kernel"], kernel)
    np.testing.assert_array_equal(found["recurrent_kernel"], RECURRENT)
    np.testing.assert_array_equal(found["bias"], BIAS)
    return model


def refused(path: Path, message: str) -> None:
    with pytest.raises(lstm_cli.ModelFileError, match=message) as raised:
        lstm_cli.load(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


# -- recognising it


def test_any_name_will_do(tmp_path: Path) -> None:
    check_weights(whole(tmp_path / "model.bin"))


def test_keras_file_that_is_hdf5(tmp_path: Path) -> None:
    """TensorFlow up to 2.12 wrote HDF5 under the name ``.keras`` too."""
    check_weights(whole(tmp_path / "model.keras"))
    real = COMMITTED / "tfkeras2" / "tf2.12.1_seq_names.keras"
    assert real.read_bytes().startswith(b"\x89HDF")
    assert "HDF5" in lstm_cli.load(real).format


def test_archive_that_is_called_h5(tmp_path: Path) -> None:
    tree = {"layers/lstm/cell": [KERNEL, RECURRENT, BIAS]}
    check_weights(write_archive(tmp_path / "model.h5", MODEL, tree))


@pytest.mark.parametrize("size", [512, 1024, 2048, 4096])
def test_user_block(tmp_path: Path, size: int) -> None:
    """HDF5 may begin after a block of the user's own, of 512 bytes times a power of two."""
    path = tmp_path / "model.h5"
    with h5py.File(path, "w", userblock_size=size) as file:
        file.attrs["keras_version"] = "2.4.0"
        file.attrs["model_config"] = json.dumps(MODEL)
        write_groups(file.create_group("model_weights"), {"lstm": GROUP})
    assert path.read_bytes()[:size] == bytes(size)
    check_weights(path)


def test_hdf5_that_is_not_keras(tmp_path: Path) -> None:
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["measurements/temperature"] = np.zeros(3)
    refused(path, "neither a Keras model")


# -- attributes


def test_chunked_attributes(tmp_path: Path) -> None:
    """Lists of names above 64 kB are split into ``layer_names0``, ``layer_names1`` …

    Eleven pieces: ``layer_names10`` follows 9, not 1.
    """
    count = 1100
    names = [f"dense_{k}" for k in range(count)]
    layers = [layer("Dense", name, units=3, use_bias=False) for name in names]
    document = sequential(*layers, lstm("lstm", 4))
    path = tmp_path / "chunked.h5"
    kernels = np.random.default_rng(0).normal(size=(count, 3, 3)).astype(np.float32)
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.4.0"
        # So long an architecture itself does not fit into an attribute of the old kind.
        file.attrs.create(
            "model_config", json.dumps(document), dtype=h5py.string_dtype()
        )  # of variable length, it lies elsewhere
        root = file.create_group("model_weights")
        encoded = [name.encode() for name in [*names, "lstm"]]
        for k in range(11):
            root.attrs[f"layer_names{k}"] = encoded[k * 100 : (k + 1) * 100 + (k == 10)]
        for name, kernel in zip(names, kernels, strict=True):
            group = root.create_group(name)
            group.attrs["weight_names"] = [b"kernel:0"]
            group["kernel:0"] = kernel
        group = root.create_group("lstm")
        for k, (name, array) in enumerate(GROUP.items()):
            group.attrs[f"weight_names{k}"] = [name.encode()]
            group[name] = array
    model = check_weights(path)
    assert [found.address for found in model.layers if found.kind == "Dense"] == names
    x = np.ones((1, 1, 3), np.float32)
    output = lstm_cli.run(model, x, layer="dense_4")
    expected = x[0]
    for kernel in kernels[:5]:
        expected = expected @ kernel
    np.testing.assert_allclose(output[0], expected, rtol=1e-5)  # five products in float32


@pytest.mark.parametrize(
    "name",
    [
        "keras2/k2.2.4_tensorflow_chunked_weight_names.h5.xz",
        "keras3/k3.15.1_tensorflow_chunked_layer_names.h5.xz",
    ],
)
def test_chunked_attributes_of_real_files(tmp_path: Path, name: str) -> None:
    """``test_golden`` pins what they compute; here, that their lists are split at all."""
    path = tmp_path / "chunked.h5"
    path.write_bytes(lzma.decompress((COMMITTED / name).read_bytes()))
    with h5py.File(path, "r") as file:
        root = file["model_weights"]
        pieces = [key for node in (root, *root.values()) for key in node.attrs if key[-1].isdigit()]
    assert len(pieces) >= 2
    assert lstm_cli.load(path).lstm_layers


@pytest.mark.parametrize(
    "as_written",
    [
        lambda text: text,
        lambda text: text.encode(),
        lambda text: np.bytes_(text.encode()),
        lambda text: np.array([text.encode()]),
    ],
    ids=["str", "bytes", "numpy bytes", "array of one"],
)
def test_text_attributes_of_every_kind(tmp_path: Path, as_written: Callable[[str], Any]) -> None:
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = as_written("2.4.0")
        file.attrs["model_config"] = as_written(json.dumps(MODEL))
        write_groups(file.create_group("model_weights"), {"lstm": GROUP})
    assert "2.4.0" in check_weights(path).written_by


def test_names_as_text_of_variable_length(tmp_path: Path) -> None:
    """Keras 3 writes its lists of names as objects."""
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "3.15.1"
        file.attrs["model_config"] = json.dumps(MODEL)
        root = file.create_group("model_weights")
        root.attrs.create("layer_names", ["lstm"], dtype=h5py.string_dtype())
        group = root.create_group("lstm")
        group.attrs.create("weight_names", list(NAMES), dtype=h5py.string_dtype())
        for name, array in GROUP.items():
            group[name] = array
    check_weights(path)


def test_empty_weight_names(tmp_path: Path) -> None:
    """A layer without weights has an empty list, which comes back as numbers of no kind."""
    document = sequential(layer("Dropout", "dropout", rate=0.5), lstm("lstm", 4))
    path = write_hdf5(tmp_path / "model.h5", document, {"dropout": {}, "lstm": GROUP})
    with h5py.File(path, "r") as file:
        assert file["model_weights/dropout"].attrs["weight_names"].dtype == np.float64
    check_weights(path)


def test_order_is_that_of_the_names(tmp_path: Path) -> None:
    """Groups list their members alphabetically: bias, kernel, recurrent_kernel."""
    path = whole(tmp_path / "model.h5")
    with h5py.File(path, "r") as file:
        assert next(iter(file["model_weights/lstm/lstm"])) == "bias:0"
    check_weights(path)


def test_extra_groups_are_not_layers(tmp_path: Path) -> None:
    """TensorFlow 2.6 and later write a group ``top_level_model_weights``."""
    path = whole(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        extra = file["model_weights"].create_group("top_level_model_weights")
        extra.attrs["weight_names"] = np.zeros(0)
        file.create_group("optimizer_weights")["iterations"] = 3
    assert [found.address for found in check_weights(path).layers if found.is_lstm] == ["lstm"]


@pytest.mark.parametrize("name", ["layer_names", "weight_names"])
def test_names_of_what_is_not_there(tmp_path: Path, name: str) -> None:
    path = whole(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        node = file["model_weights" if name == "layer_names" else "model_weights/lstm"]
        node.attrs[name] = [b"elsewhere"]
    refused(path, "lists 'elsewhere', but there is no")


def test_layer_listed_twice(tmp_path: Path) -> None:
    path = whole(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        file["model_weights"].attrs["layer_names"] = [b"lstm", b"lstm"]
    refused(path, "lists 'lstm' twice")


def test_attribute_of_another_type(tmp_path: Path) -> None:
    """Only texts and numbers are read: libhdf5 can crash over damaged types of other kinds."""
    path = whole(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        del file.attrs["keras_version"]
        lists = np.empty(1, object)
        lists[0] = np.arange(3, dtype=np.int32)
        file.attrs.create("keras_version", lists, dtype=h5py.vlen_dtype(np.dtype("i4")))
    refused(path, "attribute 'keras_version' of '/' should be text or a number")


# -- arrays


@pytest.mark.parametrize("dtype", [">f4", "<f8", ">f8", "<f2"])
def test_stored_number_formats(tmp_path: Path, dtype: str) -> None:
    """Other byte orders and widths hold the same numbers; float64 stays so, float16 is widened."""
    kernel = KERNEL.astype(dtype)
    path = write_hdf5(tmp_path / "model.h5", MODEL, {"lstm": {**GROUP, NAMES[0]: kernel}})
    model = lstm_cli.load(path)
    found = lstm_cli.weights(model)["kernel"]
    np.testing.assert_array_equal(found, kernel)
    assert found.dtype == (np.float64 if dtype.endswith("8") else np.float32)


def bfloat16(array: Array) -> tuple[Array, Array]:
    """An array cut to bfloat16: its two bytes as HDF5 keeps them, and its numbers."""
    bits = array.view(np.uint32) >> 16
    numbers = (bits << 16).astype(np.uint32).view(np.float32)
    return bits.astype("<u2").view("V2").reshape(array.shape), numbers.reshape(array.shape)


@pytest.mark.parametrize("attribute", [True, False], ids=["with", "without"])
def test_bfloat16_with_and_without_attribute(tmp_path: Path, attribute: bool) -> None:
    """Two opaque bytes are bfloat16: ``.keras`` says so in an attribute, legacy files do not."""
    path = whole(tmp_path / "model.h5")
    opaque, numbers = bfloat16(KERNEL)
    with h5py.File(path, "r+") as file:
        group = file["model_weights/lstm"]
        del group[NAMES[0]]
        group.create_dataset(NAMES[0], data=opaque)
        if attribute:
            group[NAMES[0]].attrs["dtype"] = "bfloat16"
    check_weights(path, numbers)


def test_two_opaque_bytes_of_another_type(tmp_path: Path) -> None:
    path = whole(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        group = file["model_weights/lstm"]
        del group[NAMES[0]]
        group.create_dataset(NAMES[0], data=bfloat16(KERNEL)[0]).attrs["dtype"] = "float8"
    refused(path, "unknown type: float8")


@pytest.mark.parametrize(
    "options", [{"compression": "gzip"}, {"chunks": (1, 4)}, {"shuffle": True}]
)
def test_packed_datasets(tmp_path: Path, options: dict[str, Any]) -> None:
    """Keras packs nothing, but ``h5repack`` does."""
    path = whole(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        group = file["model_weights/lstm"]
        del group[NAMES[0]]
        group.create_dataset(NAMES[0], data=KERNEL, **options)
    check_weights(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([b"abc", b"def"]), "should hold numbers"),
        (np.zeros((3, 16), np.complex64), "should hold numbers"),
        (np.zeros((3, 16), [("a", "f4"), ("b", "f4")]), "should hold numbers"),
        (h5py.Empty("f4"), "holds nothing"),
        (np.zeros((3, 16), "V3"), "unknown type"),
        (np.zeros((3, 16), np.int32), "int32, not floating-point"),
    ],
    ids=["text", "complex", "records", "empty", "three bytes", "integers"],
)
def test_datasets_that_are_not_weights(tmp_path: Path, value: Any, message: str) -> None:
    path = whole(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        group = file["model_weights/lstm"]
        del group[NAMES[0]]
        group[NAMES[0]] = value
    if "floating" in message:
        with pytest.raises(lstm_cli.UnsupportedFeatureError, match=message):
            lstm_cli.run(lstm_cli.load(path), np.zeros((2, 3), np.float32))
    else:
        refused(path, message)


# -- what a file must not do


def replaced(path: Path, make: Callable[[Any, str], object]) -> Path:
    """The file with its kernel made anew by ``make(group, name)``."""
    whole(path)
    with h5py.File(path, "r+") as file:
        group = file["model_weights/lstm/lstm"]
        del group["kernel:0"]
        make(group, "kernel:0")
    return path


def test_links_are_not_followed(tmp_path: Path) -> None:
    """Neither into another file nor to another place of the same one."""
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["kernel"] = KERNEL
    external = h5py.ExternalLink(str(tmp_path / "other.h5"), "/kernel")
    soft = h5py.SoftLink("/model_weights/lstm/lstm/bias:0")
    for number, link in enumerate((external, soft)):

        def make(group: Any, name: str, link: Any = link) -> None:
            group[name] = link

        refused(replaced(tmp_path / f"{number}.h5", make), "is a link to another place")


def test_external_storage_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(KERNEL.tobytes())

    def make(group: Any, name: str) -> None:
        group.create_dataset(name, KERNEL.shape, "f4", external=[(str(secret), 0, KERNEL.nbytes)])

    refused(replaced(tmp_path / "model.h5", make), "keeps its numbers in another file")


def test_virtual_datasets_are_not_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["kernel"] = KERNEL

    def make(group: Any, name: str) -> None:
        layout = h5py.VirtualLayout(KERNEL.shape, "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "kernel", KERNEL.shape)
        group.create_virtual_dataset(name, layout)

    refused(replaced(tmp_path / "model.h5", make), "keeps its numbers in another file")


def test_one_dataset_with_many_names_is_refused(tmp_path: Path) -> None:
    """A thousand names of one large dataset would be a thousand arrays in memory."""

    def make(group: Any, name: str) -> None:
        group[name] = group["recurrent_kernel:0"]

    refused(replaced(tmp_path / "model.h5", make), "has several names in the file")


def test_groups_that_contain_themselves(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    path.write_bytes(path_weights({"layers/lstm/cell": [KERNEL, RECURRENT, BIAS]}))
    with h5py.File(path, "r+") as file:
        file["layers/lstm/again"] = file["layers"]
        file["layers/lstm/once_more"] = file["layers"]
    refused(path, "has several names in the file")


@pytest.mark.parametrize("packed", [False, True])
def test_size_that_the_file_does_not_hold(tmp_path: Path, packed: bool) -> None:
    """2 TB are declared and nothing is stored: refused before memory is taken for it."""

    def make(group: Any, name: str) -> None:
        options = {"compression": "gzip"} if packed else {}
        group.create_dataset(name, (500_000, 1_000_000), "f4", chunks=(1000, 1000), **options)

    refused(replaced(tmp_path / "model.h5", make), "claims 2,000,000,000,000 bytes")


def test_gzip_bomb(tmp_path: Path) -> None:
    """1 GB of zeros in 1 MB: further packed than any weights are."""
    packed = zlib.compress(bytes(2**22), 9)

    def make(group: Any, name: str) -> None:
        dataset = group.create_dataset(
            name, (256, 2**20), "f4", chunks=(1, 2**20), compression="gzip"
        )
        for k in range(256):
            dataset.id.write_direct_chunk((k, 0), packed)

    path = replaced(tmp_path / "model.h5", make)
    assert path.stat().st_size < 2**21
    refused(path, "claims 1,073,741,824 bytes")


# -- Keras 0.x


def test_numbered_layers_of_keras_0(tmp_path: Path) -> None:
    """Keras 0.x: ``layer_0/param_0`` …, with twelve arrays for an LSTM."""
    arrays = [np.split(array, 4, axis=-1) for array in (KERNEL, RECURRENT, BIAS)]
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        file.attrs["nb_layers"] = 2
        file.create_group("layer_0").attrs["nb_params"] = 0
        group = file.create_group("layer_1")
        group.attrs["nb_params"] = 12
        for number, gate in enumerate((0, 2, 1, 3)):  # i, c, f, o
            for k in range(3):
                group[f"param_{3 * number + k}"] = arrays[k][gate]
    model = lstm_cli.load(path)
    found = lstm_cli.weights(model)
    np.testing.assert_array_equal(found["kernel"], KERNEL)
    np.testing.assert_array_equal(found["bias"], BIAS)


@pytest.mark.parametrize("count", [10**15, -1, 2])
def test_more_numbered_layers_than_there_are(tmp_path: Path, count: int) -> None:
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        file.attrs["nb_layers"] = count
        file.create_group("layer_0").attrs["nb_params"] = 0
    refused(path, "nb_layers")


def test_numbers_that_look_like_a_heap_are_numbers(tmp_path: Path) -> None:
    """Weights may hold any bytes, those that begin a heap of libhdf5 among them."""
    kernel = KERNEL.copy()
    kernel.reshape(-1)[:4] = np.frombuffer(b"GCOL\x01\x00\x00\x00" + b"\x12\x34\x56\x3f" * 2, "f4")
    path = write_hdf5(tmp_path / "m.h5", MODEL, {"lstm": {**GROUP, "lstm/kernel:0": kernel}})
    np.testing.assert_array_equal(lstm_cli.weights(lstm_cli.load(path))["kernel"], kernel)
