"""A model on a terminal: what wrote it, its layers, and what was assumed about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from .grid import Column, clipped, grid, grid_width, joined, wrapped

LSTM_MARK = "●"
SHORTEST_ADDRESS = 12

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
    "dtype": "dtype",
}
"""What a wide console shows in the table of layers, and a narrow one below it."""


def inspect_table(facts: Mapping[str, Any], width: int) -> Text:
    """The facts of a model, as ``model_facts`` gives them, in at most ``width`` columns.

    A row a layer, LSTM ones marked; details of recurrent layers in the same table where they
    fit, else in a block each; then the semantics card and what cannot be computed.
    """
    lines = _heading(facts, width)
    layers = facts["layers"]
    wide = [*_few_columns(layers, width), *_detail_columns(layers), _parameters(layers)]
    if layers and grid_width(wide) <= width:
        lines += [Text(), *grid(wide, _styles(layers))]
    elif layers:
        few = [*_few_columns(layers, width), _parameters(layers)]
        lines += [Text(), *grid(few, _styles(layers)), *_detail_blocks(layers, width)]
    lines += _legend(layers)
    return joined([*lines, *_card(facts, width), *_unsupported(facts, width)])


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


def _few_columns(layers: Sequence[Mapping[str, Any]], width: int) -> list[Column]:
    """Mark, address, kind and sizes; the address takes what the others leave."""
    marks = [LSTM_MARK if layer["lstm"] else "" for layer in layers]
    kinds = [layer["kind"] for layer in layers]
    sizes = [
        Column("input", [value_text(layer["input_size"]) for layer in layers]),
        Column("units", [value_text(layer["units"]) for layer in layers]),
    ]
    fixed = grid_width([Column("", marks), *sizes, _parameters(layers)]) + 4
    room = max(2 * SHORTEST_ADDRESS, width - fixed)
    kind_room = max(SHORTEST_ADDRESS, room - max(len(layer["address"]) for layer in layers))
    kind = Column("kind", [clipped(kind, kind_room) for kind in kinds], right=False)
    addresses = [clipped(layer["address"], room - kind.width) for layer in layers]
    return [Column("", marks), Column("layer", addresses, right=False), kind, *sizes]


def _parameters(layers: Sequence[Mapping[str, Any]]) -> Column:
    return Column("parameters", [f"{layer['parameters']:,}" for layer in layers])


def _detail_columns(layers: Sequence[Mapping[str, Any]]) -> list[Column]:
    """A column for each detail that any recurrent layer has."""
    columns = []
    for key, header in DETAILS.items():
        cells = [value_text(layer[key]) if layer["recurrent"] else "" for layer in layers]
        if any(cells):
            columns.append(Column(header, cells, right=False))
    return columns


def _detail_blocks(layers: Sequence[Mapping[str, Any]], width: int) -> list[Text]:
    """Each recurrent layer's settings as ``name value`` pairs, several a line."""
    lines: list[Text] = []
    for layer in layers:
        if layer["recurrent"]:
            lines += [Text(), Text(clipped(layer["address"], width), "bold")]
            lines += _pairs(layer, width)
    return lines


def _pairs(layer: Mapping[str, Any], width: int) -> list[Text]:
    pairs = [(name, value_text(layer[key])) for key, name in DETAILS.items()]
    lines, line = list[Text](), Text("  ")
    for name, value in [(n, v) for n, v in pairs if v]:
        pair = Text.assemble((f"{name} ", "dim"), value)
        if line.plain.strip() and line.cell_len + 3 + pair.cell_len > width:
            lines.append(line)
            line = Text("  ")
        line.append(" · " if line.plain.strip() else "", "dim")
        line.append_text(pair)
    return [*lines, line]


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
        tail = f"; blocks {blocks}" if blocks else "; blocks no LSTM layer"
        lines += wrapped(f"{entry['address']}: {entry['reason']}{tail}", width, "", "  - ", "    ")
    return lines
