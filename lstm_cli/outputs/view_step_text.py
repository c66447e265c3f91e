"""The panel below the map: the numbers of the step under the cursor, and its equations."""

from __future__ import annotations

from rich.text import Text

from .grid import clipped
from .step_labels import shown_label
from .view_step import GateNumbers, StepNumbers

NUMBER_WIDTH = 11
WIDTH_WITH_TERMS = 110
"""From this width on the largest products of each gate stand beside it."""

MISSING = "–"

ROUNDING = 1e-4
"""A c that differs by more from f·c₋₁ + i·g was clipped."""


def step_text(numbers: StepNumbers, width: int) -> list[Text]:
    """The panel's lines, none wider than ``width``."""
    lines = [_heading(numbers)]
    if numbers.masked:
        lines += _masked(numbers)
    else:
        lines += [*_gates(numbers, width), _memory(numbers), _hidden(numbers)]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def number_text(value: float | None) -> str:
    """A number with four decimals, or four digits where that says more."""
    if value is None:
        return MISSING
    plain = value == 0 or 1e-4 <= abs(value) < 1e5
    return f"{value:.4f}" if plain or value != value else f"{value:.3e}"


def signed_text(value: float | None) -> str:
    """The same with a sign."""
    text = number_text(value)
    return text if value is None or value != value or text.startswith("-") else f"+{text}"


def _heading(numbers: StepNumbers) -> Text:
    line = Text.assemble((f"step {numbers.step}", "bold"))
    if numbers.label:
        line.append(f"  {clipped(shown_label(numbers.label), 20)}", "bold")
    line.append(f"  unit {numbers.unit}", "bold")
    c, h = number_text(numbers.c), number_text(numbers.h)
    line.append(f"   c {c}   h {h}")
    if numbers.cell:
        line.append(f"   {numbers.cell}", "dim")
    return line


def _masked(numbers: StepNumbers) -> list[Text]:
    return [
        Text("masked: no gate was applied, h and c are carried over"),
        Text(f"{_state('c', numbers.step)} = {_before(numbers)} = {number_text(numbers.c)}"),
    ]


def _gates(numbers: StepNumbers, width: int) -> list[Text]:
    """A heading and a line a gate."""
    reasons = {gate.reason for gate in numbers.gates if gate.split is None}
    splits = [gate.split for gate in numbers.gates if gate.split is not None]
    if not splits:
        why = Text(f"z is not split: {next(iter(reasons), '')}", "dim")
        return [why, *(_whole_gate(gate) for gate in numbers.gates)]
    names = ["input", "recurrent", "bias"]
    names += ["peephole"] if any(split.part("c") for split in splits) else []
    names += ["clipped"] if any(split.clipped for split in splits) else []
    cells = "".join(name.rjust(NUMBER_WIDTH) for name in names)
    heading = f" {cells}   {'z':>{NUMBER_WIDTH}}   {'gate':>{NUMBER_WIDTH + 2}}"
    heading += "   largest products" if width >= WIDTH_WITH_TERMS else ""
    return [Text(heading, "dim"), *(_split_gate(gate, names, width) for gate in numbers.gates)]


def _split_gate(gate: GateNumbers, names: list[str], width: int) -> Text:
    if gate.split is None:
        line = _whole_gate(gate)
        return line.append(f"   {gate.reason}", "dim")
    split = gate.split
    values = {
        "input": split.part("x"),
        "recurrent": split.part("h"),
        "bias": split.bias,
        "peephole": split.part("c"),
        "clipped": split.clipped,
    }
    parts = "".join(signed_text(values[name]).rjust(NUMBER_WIDTH) for name in names)
    line = Text.assemble((gate.gate, "bold"), parts, f" = {signed_text(gate.known_z):>11}")
    line.append(f" → {gate.gate} ").append(number_text(gate.value).rjust(NUMBER_WIDTH), "bold")
    if width >= WIDTH_WITH_TERMS:
        for term in split.terms[:3]:
            line.append(f"   {term.source}[{term.index}] {signed_text(term.product)}", "dim")
    return line


def _whole_gate(gate: GateNumbers) -> Text:
    line = Text.assemble((gate.gate, "bold"))
    if gate.known_z is not None:
        line.append(f"   z {signed_text(gate.known_z):>{NUMBER_WIDTH}} →")
    return line.append(f" {number_text(gate.value):>{NUMBER_WIDTH}}", "bold")


def _memory(numbers: StepNumbers) -> Text:
    """``c[5] = f·c[4] + i·g = …``."""
    start = f"{_state('c', numbers.step)} = f·{_before(numbers)} + i·g"
    update = numbers.update
    if update is None:
        return Text(f"{start} = {number_text(numbers.c)}")
    i, f, g = (_factor(numbers.gate(name).value) for name in "ifg")
    line = Text(f"{start} = {f}·{_factor(numbers.c_before)} + {i}·{g} = ")
    line.append(number_text(update), "bold")
    if numbers.c is not None and abs(numbers.c - update) > ROUNDING * max(1.0, abs(update)):
        line.append(f" → {number_text(numbers.c)}", "bold")
    return line


def _hidden(numbers: StepNumbers) -> Text:
    """``h[5] = o·tanh(c) = …``."""
    start = f"{_state('h', numbers.step)} = o·{numbers.squash}(c[{numbers.step}])"
    shown = number_text(numbers.h)
    if numbers.projected:
        return Text.assemble(f"{start}, projected = ", (shown, "bold"))
    line = Text(start)
    if numbers.squashed is not None and numbers.gate("o").value is not None:
        o = _factor(numbers.gate("o").value)
        line.append(f" = {o}·{_factor(numbers.squashed)}")
    return line.append(" = ").append(shown, "bold")


def _factor(value: float | None) -> str:
    text = number_text(value)
    return f"({text})" if text.startswith("-") else text


def _before(numbers: StepNumbers) -> str:
    return "c[init]" if numbers.before is None else _state("c", numbers.before)


def _state(name: str, step: int) -> str:
    return f"{name}[{step}]"
