"""What a search for similar steps found, for a terminal, as CSV, JSON lines and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.text import Text

from ..analysis.search_report import Found, Hit
from .display_numbers import short_number
from .grid import GAP, Column, Lines, clipped, clipped_left, grid, grid_width, wrapped
from .rows import csv_cell

FEWEST_LABEL_CELLS = 8
MOST_LENGTHS = 8
MOST_UNITS = 16
SHORTEST_FILE = 16


class HitRow(NamedTuple):
    """A hit with the name of its file and the labels of its steps, where there are any."""

    file: str
    hit: Hit
    labels: tuple[str, ...] | None

    def facts(self) -> dict[str, Any]:
        """For JSON: ``file sequence start length score shared union selected`` and ``labels``."""
        hit = self.hit
        facts: dict[str, Any] = {"file": self.file, "sequence": hit.sequence, "start": hit.start}
        facts |= {"length": hit.length, "score": hit.score, "shared": hit.shared}
        facts |= {"union": hit.union, "selected": hit.selected}
        return facts if self.labels is None else {**facts, "labels": list(self.labels)}


def hit_rows(
    found: Found, files: Sequence[str], labels: Sequence[Sequence[str]] = ()
) -> list[HitRow]:
    """The hits with their files and labels; ``labels``: of each hit's steps, or none at all."""
    texts = [tuple(own) for own in labels] if labels else [None] * len(found.hits)
    return [HitRow(files[h.source], h, t) for h, t in zip(found.hits, texts, strict=True)]


def hits_table(
    found: Found, rows: Sequence[HitRow], span: tuple[int, int], width: int, batched: bool
) -> Lines:
    """The selection, a row a hit, and how long all candidates are.

    Args:
        found: the search.
        rows: its hits.
        span: the steps that were chosen.
        width: of the console.
        batched: whether there are sequences to count.
    """
    lines = wrapped(_selection(found, span), width)
    lines += [Text(), *_table(rows, width, batched)]
    if not rows:
        return Lines(lines)
    lines += _length_lines(found, width)
    text = (
        "score: units on throughout both, of those on throughout either (shared); *: the chosen "
        "steps"
    )
    return Lines([*lines, *wrapped(text, width, "dim", "", GAP)])


def hits_lines(rows: Sequence[HitRow], form: str) -> Iterator[str]:
    """A line a hit, as CSV with a header or as JSON lines."""
    if form == "jsonl":
        for row in rows:
            yield json.dumps(row.facts(), ensure_ascii=False)
        return
    labelled = any(row.labels is not None for row in rows)
    header = "file,sequence,start,length,score,shared,union,selected"
    yield header + (",labels" if labelled else "")
    for row in rows:
        hit = row.hit
        cells = [csv_cell(row.file), str(hit.sequence), str(hit.start), str(hit.length)]
        cells += [f"{hit.score:.9g}", str(hit.shared), str(hit.union), str(int(hit.selected))]
        yield ",".join([*cells, csv_cell(joined(row.labels or ()))] if labelled else cells)


def hits_facts(found: Found, rows: Sequence[HitRow]) -> dict[str, Any]:
    """Everything for JSON: the selection, the hits and the lengths of all candidates."""
    units = zip(found.units, found.thresholds, strict=True)
    return {
        "tensor": found.tensor,
        "units": [{"unit": u, "sign": sign, "threshold": level} for (u, sign), level in units],
        "steps": found.steps,
        "dropped_blips": found.blips,
        "hits": [row.facts() for row in rows],
        "lengths": _text_keys(found.lengths),
        "lengths_strict": _text_keys(found.strict_lengths),
    }


def joined(labels: Sequence[str]) -> str:
    """Labels as running text: single characters as they stand, words with spaces between them."""
    apart = any(len(label) > 1 for label in labels)
    return (" " if apart else "").join(" ".join(label.split()) or label[:1] for label in labels)


def _text_keys(counts: Mapping[int, int]) -> dict[str, int]:
    return {str(length): count for length, count in counts.items()}


def _selection(found: Found, span: tuple[int, int]) -> str:
    units = [f"{unit}{'+' if sign > 0 else '−'}" for unit, sign in found.units]
    shown = ", ".join(units[:MOST_UNITS])
    more = f" and {len(units) - MOST_UNITS} more" if len(units) > MOST_UNITS else ""
    levels = sorted(set(found.thresholds))
    name = "tanh c" if found.tensor == "c" else found.tensor
    low = short_number(levels[0])
    level = low if len(levels) == 1 else f"{low} to {short_number(levels[-1])}"
    lasting = f" for more than {found.blips} steps" if found.blips else ""
    return (
        f"steps {span[0]} to {span[1] - 1} select units {shown}{more} of {found.tensor} "
        f"(on at |{name}| ≥ {level}{lasting}); {found.steps:,} steps searched"
    )


def _table(rows: Sequence[HitRow], width: int, batched: bool) -> list[Text]:
    if not rows:
        text = "nothing found; a smaller --min-length, --left or --right, or another --threshold"
        return wrapped(f"{text}, asks for less", width, "bold")
    columns = [Column("", ["*" if row.hit.selected else "" for row in rows])]
    if len({row.file for row in rows}) > 1:
        room = max(SHORTEST_FILE, width // 3)
        files = [clipped_left(row.file, room) for row in rows]
        columns.append(Column("file", files, right=False))
    if batched:
        columns.append(Column("sequence", [str(row.hit.sequence) for row in rows]))
    columns += [
        Column("start", [str(row.hit.start) for row in rows]),
        Column("length", [str(row.hit.length) for row in rows]),
        Column("score", [f"{row.hit.score:.3f}" for row in rows]),
        Column("shared", [f"{row.hit.shared}/{row.hit.union}" for row in rows]),
    ]
    if any(row.labels is not None for row in rows):
        room = max(FEWEST_LABEL_CELLS, width - grid_width(columns) - len(GAP))
        texts = [clipped(joined(row.labels or ()), room) for row in rows]
        columns.append(Column("labels", texts, right=False))
    return grid(columns)


def _length_lines(found: Found, width: int) -> list[Text]:
    """How many candidates have each length, the most frequent ones."""
    if not found.lengths:
        return []
    often = sorted(found.lengths.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_LENGTHS]
    counts = ", ".join(
        f"{length} ({count:,} times)" if count > 1 else str(length)
        for length, count in sorted(often)
    )
    total, strict = sum(found.lengths.values()), sum(found.strict_lengths.values())
    text = f"{total:,} candidates, {strict:,} with all selected units; lengths: {counts}"
    if len(often) < len(found.lengths):
        text += f", {total - sum(count for _, count in often):,} others"
    return [Text(), *wrapped(text, width, "", "", GAP)]
