"""Reader of ONNX files: the LSTM operators are ours, what stands around them is cut into programs.

Source: https://github.com/onnx/onnx/blob/main/docs/IR.md
"""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np

from ..model import Model
from .onnx_folding import Folder
from .onnx_graph import Builder
from .onnx_proto import File
from .onnx_tensors import SMALL, Tensors
from .options import Options
from .reading import NotComputed, Problem


def read(path: Path, options: Options) -> Model:
    """The model of an ONNX file.

    Raises:
        Problem: if it is damaged.
    """
    try:
        with np.errstate(all="ignore"):  # NaN and overflow in folded weights are results
            return _read(path)
    except NotComputed as reason:
        raise Problem(str(reason)) from reason
    except RecursionError as error:
        raise Problem("its graphs stand in each other too deep") from error


def _read(path: Path) -> Model:
    file = File(_content(path))
    builder = Builder(file, Folder(Tensors(path)))
    layers, calls = builder.build()
    return Model(
        path=str(path),
        format="ONNX",
        written_by=file.writer,
        layers=tuple(layers),
        calls=tuple(calls),
        inputs=tuple(builder.inputs),
        outputs=tuple(builder.outputs),
        assumptions=tuple(dict.fromkeys(builder.notes)),
    )


def _content(path: Path) -> memoryview:
    """A small file as it is now; a large one mapped, so that opening it costs what is looked at."""
    with path.open("rb") as stream:
        if path.stat().st_size <= SMALL:
            return memoryview(stream.read())
        return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
