"""A model on a terminal: what wrote it, its layers, and what was assumed about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.text import Text

from .grid import GAP, Column, Lines, bands, clipped, clipped_left, grid, grid_width, wrapped

INDENT = "  "
LSTM_MARK = "●"
SHORTEST = 12

DETAILS = {
    "parts": "parts",
    "direction": "direction",
    "activation": "activation",
    "recurrent_activation": "recurrent activation",
    "use_bias": "bias",
    "return_sequences": "return_sequences",
    "return_state": "return_state",
    "stateful": "stateful",
    "go_backwards": "go_backwards",
    "masking": "masking",
    "additions": "with",
    "dtype": "dtype",
}
"""What a wide console shows in the table of layers, and a narrow one below it."""

SHORT = {"return_sequences": "sequences", "return_state": "state"}
"""Headers of the wide table that are shorter than the names."""


def inspect_table(facts: Mapping[str, Any], width: int) -> Lines:
    """The facts of a model, as ``model_facts`` gives them, in at most ``width`` columns.

    A row a layer, LSTM ones marked; details of recurrent layers in the same table where they
    fit, else in a block each; then the semantics card and what cannot be computed.
    """
    lines = _heading(facts, width)
    layers = facts["layers"]
    wide = [*_few_columns(layers), *_detail_columns(layers), _parameters(layers)]
    if layers and grid_width(wide) <= width:
        lines += [Text(), *grid(wide, _styles(layers)), *_legend(layers)]
    elif layers:
        lines += [Text(), *_narrow_table(layers, width), *_legend(layers)]
        lines += _detail_blocks(layers, width)
    return Lines([*lines, *_card(facts, width), *_unsupported(facts, width)])


def value_text(value: Any) -> str:
    """One fact as text: ``yes`` and ``no``, nothing for what a layer does not have."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(value_text, value))
    return str(value)


def shape_text(shape: Sequence[int | None] | None) -> str:
    """``(?, 10, 3)``, the question mark for an open axis."""
    if shape is None:
        return "shape not known"
    axes = ", ".join("?" if length is None else str(length) for length in shape)
    return f"({axes}{',' if len(shape) == 1 else ''})"


def _heading(facts: Mapping[str, Any], width: int) -> list[Text]:
    inputs = [f"{e['name']} {shape_text(e['shape'])} {e['dtype']}" for e in facts["inputs"]]
    outputs = [f"{e['name']} {shape_text(e['shape'])}" for e in facts["outputs"]]
    rows = {
        "written by": [facts["written_by"] or "not known"],
        "format": [facts["format"]],
        "input" if len(inputs) == 1 else "inputs": inputs or ["none declared"],
        "output" if len(outputs) == 1 else "outputs": outputs or ["none declared"],
    }
    lines = wrapped(facts["path"], width, "bold")
    for label, values in rows.items():
        for k, value in enumerate(values):
            lines += _labelled(label if k == 0 else "", value, 12, width)
    return lines


def _labelled(label: str, value: str, indent: int, width: int) -> list[Text]:
    """A label in ``indent`` cells, and its value beside it, wrapped."""
    lines = wrapped(value, width, "", label.ljust(indent), " " * indent)
    for line in lines[:1]:
        line.stylize("dim", 0, indent)
    return lines


def _narrow_table(layers: Sequence[Mapping[str, Any]], width: int) -> list[Text]:
    """The few columns; where they are too wide, shortened names, and at last two bands."""
    columns = [*_few_columns(layers), _parameters(layers)]
    if grid_width(columns) > width:
        mark, address, kind, *sizes = columns
        names = width - grid_width([mark, *sizes]) - 2 * len(GAP)
        kind = replace(kind, cells=[clipped(k, max(SHORTEST, names // 3)) for k in kind.cells])
        room = max(width // 2, names - kind.width)
        address = replace(address, cells=[clipped_left(a, room) for a in address.cells])
        columns = [mark, address, kind, *sizes]
    lines: list[Text] = []
    for band in bands(columns[:2], columns[2:], width):
        lines += [Text()] if lines else []
        lines += grid(band, _styles(layers))
    return lines


def _few_columns(layers: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Mark, address, kind and sizes."""
    return [
        Column("", [LSTM_MARK if layer["lstm"] else "" for layer in layers]),
        Column("layer", [layer["address"] for layer in layers], right=False),
        Column("kind", [layer["kind"] for layer in layers], right=False),
        Column("input", [value_text(layer["input_size"]) for layer in layers]),
        Column("units", [value_text(layer["units"]) for layer in layers]),
    ]


def _parameters(layers: Sequence[Mapping[str, Any]]) -> Column:
    return Column("parameters", [f"{layer['parameters']:,}" for layer in layers])


def _detail_columns(layers: Sequence[Mapping[str, Any]]) -> list[Column]:
    """A column for each detail that any recurrent layer has."""
    columns = []
    for key, header in DETAILS.items():
        cells = [value_text(layer[key]) if layer["recurrent"] else "" for layer in layers]
        if key == "parts":  # what `bidirectional` says already
            cells = ["" if cell == "forward, backward" else cell for cell in cells]
        if any(cells):
            columns.append(Column(SHORT.get(key, header), cells, right=False))
    return columns


def _detail_blocks(layers: Sequence[Mapping[str, Any]], width: int) -> list[Text]:
    """Each recurrent layer's settings as ``name value`` pairs, several a line."""
    lines: list[Text] = []
    for layer in layers:
        if layer["recurrent"]:
            lines += [Text(), Text(clipped_left(layer["address"], width), "bold")]
            lines += _pairs(layer, width)
    return lines


def _pairs(layer: Mapping[str, Any], width: int) -> list[Text]:
    lines = [Text()]
    for key, name in DETAILS.items():
        value = value_text(layer[key])
        if not value:
            continue
        pair = wrapped(f"{name} {value}", width, "", INDENT, INDENT * 2)
        pair[0].stylize("dim", 0, len(INDENT + name))
        if lines[-1] and lines[-1].cell_len + 1 + pair[0].cell_len <= width:
            lines[-1].append(" ·", "dim").append_text(pair[0][1:])
        else:
            lines += pair
    return lines[1:]


def _styles(layers: Sequence[Mapping[str, Any]]) -> list[str]:
    return ["bold" if layer["lstm"] else "" for layer in layers]


def _legend(layers: Sequence[Mapping[str, Any]]) -> list[Text]:
    if not any(layer["lstm"] for layer in layers):
        return [Text(), Text("no LSTM layers", "dim")]
    return [Text(), Text(f"{LSTM_MARK} LSTM layer", "dim")]


def _card(facts: Mapping[str, Any], width: int) -> list[Text]:
    lines = [Text(), Text("assumed or inferred", "bold")]
    if not facts["assumptions"]:
        return [*lines, *wrapped("nothing: the file says it all", width, "dim", "  ", "  ")]
    for sentence in facts["assumptions"]:
        lines += wrapped(sentence, width, "", "  - ", "    ")
    return lines


def _unsupported(facts: Mapping[str, Any], width: int) -> list[Text]:
    if not facts["unsupported"]:
        return []
    lines = [Text(), Text("cannot be computed", "bold")]
    for entry in facts["unsupported"]:
        blocks = ", ".join(entry["blocks"])
        tail = f"; blocks {blocks}" if blocks else ""
        lines += wrapped(f"{entry['address']}: {entry['reason']}{tail}", width, "", "  - ", "    ")
    return lines
