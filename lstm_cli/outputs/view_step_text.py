"""The panel below the map: the numbers of the step under the cursor, and its equations."""

from __future__ import annotations

from rich.text import Text

from .grid import clipped, clipped_left, wrapped
from .step_labels import shown_label
from .view_step import GateNumbers, StepNumbers

NUMBER_WIDTH, NARROW_NUMBER = 11, 10
NARROW = 66
"""Below this width numbers stand closer together, and equations have no names in them."""

WIDTH_WITH_GAUGES = 78
WIDTH_WITH_TERMS = 100
TERM_WIDTH = 17
"""Room for one of the largest products of a gate; as many stand beside it as there is room for."""

GAUGE, FULL, EMPTY = 10, "━", "─"
"""Cells of a bar that shows a gate."""

MOST_REASONS = 3
"""Lines for why z is not split."""

MISSING = "–"

ROUNDING = 1e-4
"""A c that differs by more from f·c₋₁ + i·g was clipped."""


def step_text(numbers: StepNumbers, width: int) -> list[Text]:
    """The panel's lines, none wider than ``width``."""
    lines = [_heading(numbers, width)]
    if numbers.masked:
        lines += _masked(numbers)
    else:
        lines += [*_gates(numbers, width), _memory(numbers, width), _hidden(numbers, width)]
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


def _heading(numbers: StepNumbers, width: int) -> Text:
    """A rule with what the panel is about in it."""
    parts = [f"step {numbers.step}"]
    if numbers.label:
        parts[0] += f"  {clipped(shown_label(numbers.label), 20)}"
    parts.append(f"unit {numbers.unit}")
    parts.append(f"c {number_text(numbers.c)}  h {number_text(numbers.h)}")
    line = Text()
    for part in parts:
        line.append("── ", "dim").append(f"{part} ", "bold")
    if numbers.cell:
        name = clipped_left(shown_label(numbers.cell), max(1, width - line.cell_len - 4))
        line.append("── ", "dim").append(f"{name} ", "bold")
    return line.append("─" * max(0, width - line.cell_len), "dim")


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
        why = wrapped(f"z is not split: {next(iter(reasons), '')}", width, "dim")[:MOST_REASONS]
        return [*why, *(_whole_gate(gate, width) for gate in numbers.gates)]
    names = ["input", "recurrent", "bias"]
    names += ["peephole"] if any(split.part("c") for split in splits) else []
    names += ["clipped"] if any(split.clipped for split in splits) else []
    room = _number_width(width)
    cells = "".join(name.rjust(room) for name in names)
    heading = Text(f" {cells}   {'z':>{room}}{_gate_heading(width)}", "dim")
    heading.append(" " * (GAUGE + 1 if width >= WIDTH_WITH_GAUGES else 0))
    if _terms_beside(heading.cell_len, width):
        heading.append("  largest products")
    return [heading, *(_split_gate(gate, names, width) for gate in numbers.gates)]


def _split_gate(gate: GateNumbers, names: list[str], width: int) -> Text:
    if gate.split is None:
        return _whole_gate(gate, width).append(f"   {gate.reason}", "dim")
    split = gate.split
    values = {
        "input": split.part("x"),
        "recurrent": split.part("h"),
        "bias": split.bias,
        "peephole": split.part("c"),
        "clipped": split.clipped,
    }
    room = _number_width(width)
    parts = "".join(signed_text(values[name]).rjust(room) for name in names)
    line = Text.assemble((gate.gate, "bold"), parts, f" = {signed_text(gate.known_z):>{room}}")
    line.append_text(_value(gate, width))
    largest = [term for term in split.terms if term.product != 0]
    for term in largest[: _terms_beside(line.cell_len, width)]:
        text = f"{term.source}[{term.index}] {signed_text(term.product)}"
        line.append(f"  {text:<{TERM_WIDTH - 2}}", "dim")
    return line


def _whole_gate(gate: GateNumbers, width: int) -> Text:
    room = _number_width(width)
    z = "" if gate.known_z is None else f"z {signed_text(gate.known_z)}"
    line = Text.assemble((gate.gate, "bold"), f"{z:>{room + 4}}")
    return line.append_text(_value(gate, width))


def _gate_heading(width: int) -> str:
    return "" if width < NARROW else f"{'gate':>{_ACTIVATION + 11}}"


_ACTIVATION = 12
"""Cells for the name of an activation."""


def _value(gate: GateNumbers, width: int) -> Text:
    """``→ sigmoid    0.4991 ━━━━━─────``."""
    value = number_text(gate.value)
    if width < NARROW:
        return Text.assemble(" → ", (value.rjust(7), "bold"))
    arrow = "→" if gate.known_z is not None else " "
    line = Text.assemble(f" {arrow} {clipped(gate.activation, _ACTIVATION):<{_ACTIVATION}}")
    line.append(f"{value:>8}", "bold")
    if width >= WIDTH_WITH_GAUGES:
        line.append(" ").append_text(_gauge(gate))
    return line


def _gauge(gate: GateNumbers) -> Text:
    """A bar from 0 to 1, or for g from its middle to either side."""
    value = gate.value
    if value is None or value != value:
        return Text(" " * GAUGE)
    share = min(1.0, abs(value))
    if gate.gate != "g":
        filled = round((share if value > 0 else 0.0) * GAUGE)
        return Text.assemble(FULL * filled, (EMPTY * (GAUGE - filled), "dim"))
    half = GAUGE // 2
    filled = round(share * half)
    rest = (EMPTY * (half - filled), "dim")
    sides = [(FULL * filled, ""), rest] if value > 0 else [rest, (FULL * filled, "")]
    other = (EMPTY * half, "dim")
    return Text.assemble(*([other, *sides] if value > 0 else [*sides, other]))


def _memory(numbers: StepNumbers, width: int) -> Text:
    """``c[5] = f·c[4] + i·g = …``."""
    state = _state("c", numbers.step)
    names = f"f·{_before(numbers)} + i·g = "
    line = Text(f"{state} = ").append(names if width >= NARROW else "")
    update = numbers.update
    if update is None:
        return Text(f"{state} = {names}").append(number_text(numbers.c), "bold")
    i, f, g = (_factor(numbers.gate(name).value) for name in "ifg")
    line.append(f"{f}·{_factor(numbers.c_before)} + {i}·{g} = ")
    line.append(number_text(update), "bold")
    if numbers.c is not None and abs(numbers.c - update) > ROUNDING * max(1.0, abs(update)):
        line.append(f" → {number_text(numbers.c)}", "bold")
    return line


def _hidden(numbers: StepNumbers, width: int) -> Text:
    """``h[5] = o·tanh(c) = …``."""
    state = _state("h", numbers.step)
    names = f"o·{numbers.squash}(c[{numbers.step}])"
    shown = number_text(numbers.h)
    if numbers.projected:
        return Text.assemble(f"{state} = {names}, projected = ", (shown, "bold"))
    line = Text(f"{state} = {names}")
    if numbers.squashed is not None and numbers.gate("o").value is not None:
        o = _factor(numbers.gate("o").value)
        product = f"{o}·{_factor(numbers.squashed)}"
        line = Text(f"{state} = {product}") if width < NARROW else line.append(f" = {product}")
    return line.append(" = ").append(shown, "bold")


def _number_width(width: int) -> int:
    return NARROW_NUMBER if width < WIDTH_WITH_GAUGES + 4 else NUMBER_WIDTH


def _terms_beside(used: int, width: int) -> int:
    """How many of the largest products have room behind a line of so many cells."""
    return max(0, (width - used) // TERM_WIDTH) if width >= WIDTH_WITH_TERMS else 0


def _factor(value: float | None) -> str:
    text = number_text(value)
    return f"({text})" if text.startswith("-") else text


def _before(numbers: StepNumbers) -> str:
    return "c[init]" if numbers.before is None else _state("c", numbers.before)


def _state(name: str, step: int) -> str:
    return f"{name}[{step}]"
