"""Runs of a model: what it returns, and what its LSTM layers do at every step.

Letters: B sequences, T time steps, F input features, U units.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ..errors import (
    InputError,
    NoSuchNameError,
    ShapeError,
    UnsupportedFeatureError,
    UsageError,
    listing,
)
from ..model import Array, Call, Constant, Foreign, Input, Layer, Model, Reference, choose
from ..traces import GATE_TENSORS, PRE_ACTIVATIONS, STATE_TENSORS, Trace, Traces
from .foreign import Evaluator
from .graph import Request, Values
from .inputs import (
    Given,
    batch_note,
    batch_of,
    checked_lengths,
    checked_mask,
    length_note,
    match_inputs,
    steps_of,
    typed,
    with_batch_axis,
)
from .pieces import joined, rows_of
from .plan import Prepared, prepare, recurrent_of, recurrent_units, time_mixing, uneven_flow
from .returns import Axes, ended
from .selection import Unit, direct_model, lstm_units, no_lstm_layer, prefixes
from .states import StateLike, named_states, parse_initial_state
from .targets import found_values, not_run, run_targets, value_axes
from .tensor import Tensor
from .tracing import build_trace

CELL_TENSORS = (*STATE_TENSORS, *GATE_TENSORS, *PRE_ACTIVATIONS)
DEFAULT_TENSORS = (*STATE_TENSORS, *GATE_TENSORS, "output")
ALL_TENSORS = (*CELL_TENSORS, "output", "x")
PIECE_BYTES = 2**30
"""Working memory that one piece of a large batch may take."""


class Session:
    """A model being run: what to look at, and the states carried from one call to the next.

    Args:
        model: from ``load``.
        layer: address of the layer to look at, or several; None for the model's output (``run``)
            or every LSTM layer (``trace``).
        direct: the input is what the layer receives, not the model's own. Implied for files that
            do not say how their layers are connected.
        dtype: ``float32`` or ``float64`` for everything; None for what the file says.
        stateful: consecutive calls are consecutive chunks of the same sequences. Layers that the
            file marks stateful carry their states over, as the framework does; where it marks
            none, all of them do.
        batch_size: how many sequences are computed at once; None lets memory decide.
        time_major: a direct input is (T, B, F) instead of (B, T, F).

    Attributes:
        notes: what a user should know about the run so far, a sentence each.
        had_batch_axis: whether the last input had one.
        ended: names of those arrays of the last ``run`` that follow the lengths it was given.
        axes: by name, where the arrays of the last ``run`` have their sequences and their steps.
        libraries: who runs the operators around the LSTM layers of other formats.

    Raises:
        NoSuchNameError, AmbiguousNameError: if ``layer`` does not choose.
        UnsupportedFeatureError: naming everything that what is asked for depends on and that is
            not computed.
        UsageError: if the file has no graph and no layer is chosen.
    """

    libraries: ClassVar[Mapping[str, Callable[[], Evaluator]]] = {}

    def __init__(
        self,
        model: Model,
        layer: str | Sequence[str] | None = None,
        *,
        direct: bool = False,
        dtype: str | None = None,
        stateful: bool = False,
        batch_size: int | None = None,
        time_major: bool = False,
    ) -> None:
        if dtype not in (None, "float32", "float64"):
            raise UsageError(f"dtype: expected float32 or float64, found '{dtype}'")
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"batch size: expected at least 1, found {batch_size}")
        self.notes: list[str] = []
        self.names = [layer] if isinstance(layer, str) else list(dict.fromkeys(layer or []))
        self.source, self.dtype, self.stateful = model, dtype, stateful
        self.batch_size, self.time_major = batch_size, time_major
        self.direct = direct or not model.has_graph
        self._passed_by_graph = False
        self.model = self._direct(model) if self.direct else model
        self.had_batch_axis = True
        self.ended: frozenset[str] = frozenset()
        self.axes: dict[str, Axes] = {}
        operations = [layer.operation for layer in model.layers]
        needed = {each.library for each in operations if isinstance(each, Foreign)}
        self._evaluators = {name: self.libraries[name]() for name in needed & set(self.libraries)}
        self._aligned: frozenset[Reference] = frozenset()
        self._carried: dict[int, dict[str, tuple[Array, ...]]] = {}
        self._final: dict[int, dict[str, tuple[Array, ...]]] = {}

    def _direct(self, model: Model) -> Model:
        """The model of the chosen layer alone."""
        names = self.names or [layer.address for layer in model.lstm_layers]
        chosen = [choose(model, name) for name in names]
        if not chosen or any(choice.layer is not chosen[0].layer for choice in chosen):
            raise self._needs_layer()
        layer = chosen[0].layer
        if self.names:
            self.names = ["/".join(filter(None, (layer.address, choice.part))) for choice in chosen]
        self._passed_by_graph = any(
            call.initial_state for call in model.calls if call.layer is layer
        )
        return direct_model(model, layer)

    def chosen_layers(self) -> list[Layer]:
        """The layers that the chosen names mean, in the file as it is."""
        return [choose(self.source, name).layer for name in self.names]

    def _needs_layer(self) -> UsageError:
        """The error where one layer has to be chosen, and none or several are."""
        model = self.source
        lstm = [layer.address for layer in model.lstm_layers]
        if not lstm and not self.names:
            return no_lstm_layer(model)
        advice = "; choose one layer with --layer … --direct"
        if model.takes_architecture:
            advice += ", or give its graph with --architecture FILE.json"
        why = model.no_graph or "--direct runs one layer alone"
        return UsageError(f"{model.path}: {why}{advice} (LSTM layers: {listing(lstm)})")

    # -- running

    def run(
        self,
        x: Any,
        *,
        mask: Array | None = None,
        lengths: Array | None = None,
        initial_state: StateLike | None = None,
        return_sequences: bool | None = None,
        return_state: bool | None = None,
    ) -> dict[str, Array]:
        """What the framework would return, by name, with a batch axis.

        Without a chosen layer the model's outputs: ``output``, or ``output_0 output_1 …``. With
        one, what that layer returns: ``output``, and with its state ``state_h state_c``, for a
        Bidirectional ``forward_h forward_c backward_h backward_c``, for stacked cells ``0/h 0/c``.

        Args:
            x: the model's input; see ``lstm_cli.run``.
            mask: (B, T) or (T,), true for a real step.
            lengths: (B,), how many steps each sequence has; outputs are zeros beyond them.
            initial_state: see ``lstm_cli.run``.
            return_sequences, return_state: for a recurrent layer; None for as saved.
        """
        if not self.names and not self.source.has_graph and len(self.source.layers) > 1:
            raise self._needs_layer()
        targets = run_targets(self.model, self.names, self.direct, return_sequences, return_state)
        calls = [reference.call for reference in targets.references]
        values = self._compute(targets.model, calls, x, mask, lengths, initial_state, {}, ())
        convention = targets.layer.convention if targets.layer else ""
        swapped = self.time_major and convention.startswith("torch")
        outputs = {}
        ends = set()
        for name, (reference, array) in found_values(targets, values).items():
            if swapped and name == "output":
                array = array.swapaxes(0, 1)
            default = self.output_batch_axis
            self.axes[name] = value_axes(targets, name, reference, array, default, swapped)
            if reference in self._aligned:
                ends.add(name)
                array = ended(array, np.asarray(lengths), self.axes[name])
            outputs[name] = array
        self.ended = frozenset(ends)
        return outputs

    def trace(
        self,
        x: Any,
        *,
        mask: Array | None = None,
        lengths: Array | None = None,
        initial_state: StateLike | None = None,
        tensors: Collection[str] = DEFAULT_TENSORS,
    ) -> Trace | Traces:
        """Everything the chosen LSTM layers do at every step.

        Args:
            tensors: what to keep of ``h c i f g o z_i z_f z_g z_o output x``.
        """
        units = self._traced_units(tensors)
        keep = {unit.call: [name for name in tensors if name in CELL_TENSORS] for unit in units}
        sequences = [unit.call for unit in units] if "output" in tensors else []
        values = self._compute(
            self.model, list(keep), x, mask, lengths, initial_state, keep, sequences
        )
        return self._build(self._made(units, values), values, tensors)

    def _made(self, units: list[Unit], values: Values) -> list[Unit]:
        """The calls that were made; those that an If left out are named in a note.

        Raises:
            InputError: if none was made, or one that the caller chose was not.
        """
        made = [unit for unit in units if unit.call in values.layers]
        missing = [unit for unit in units if unit not in made]
        if missing and (self.names or not made):
            raise not_run(self.model, [unit.call for unit in missing])
        if missing:
            names = listing(unit.name for unit in missing)
            self._note(f"not run for this input, which chooses another branch of an If: {names}")
        return made

    def _traced_units(self, tensors: Collection[str]) -> list[Unit]:
        unknown = [name for name in tensors if name not in ALL_TENSORS]
        if unknown:
            raise NoSuchNameError("tensor", unknown[0], ALL_TENSORS)
        return lstm_units(self.model, self.names)

    def _build(self, units: list[Unit], values: Values, tensors: Collection[str]) -> Trace | Traces:
        fronts = prefixes(units, len(self.names) == 1, len(self.source.lstm_layers))
        return build_trace(self.source, units, fronts, values, tensors)

    # -- streaming

    def stream(
        self,
        blocks: Iterable[Any],
        *,
        initial_state: StateLike | None = None,
        tensors: Collection[str] = DEFAULT_TENSORS,
    ) -> Iterator[Trace | Traces]:
        """The trace of one long run, block by block, in bounded memory.

        Args:
            blocks: consecutive pieces of the input along its time axis.

        Raises:
            UnsupportedFeatureError: if a layer on the way needs the whole sequence at once.
        """
        units = self._traced_units(tensors)
        keep = {unit.call: [name for name in tensors if name in CELL_TENSORS] for unit in units}
        sequences = [unit.call for unit in units] if "output" in tensors else []
        prepared = self._prepare(self.model, list(keep), True)
        reasons = time_mixing(self.model, list(keep))
        if reasons:
            raise UnsupportedFeatureError(
                f"a run in blocks needs layers that go step by step: {'; '.join(reasons)}"
            )
        carried: dict[int, dict[str, tuple[Array, ...]]] = {}
        seen: dict[int, Array | None] = {}
        total = sequences_before = 0
        for block in blocks:
            arrays = self._arrays(block, prepared.inputs)
            total += max(steps_of(arrays).values())
            batch = batch_of(arrays)
            if carried and batch != sequences_before:
                raise InputError(
                    f"a block holds {batch} sequences, the ones before it {sequences_before}"
                )
            sequences_before = batch
            states = carried or self._initial(prepared, initial_state, batch)
            inputs = {entry.call: Tensor(array) for entry, array in arrays}
            request = Request(keep, sequences, states, seen=seen)
            values = prepared.executor.run(inputs, request, list(keep))
            carried = {number: dict(result.final) for number, result in values.layers.items()}
            for number, result in values.layers.items():
                real = np.ones(batch, bool) if result.seen is None else result.seen
                before = seen.get(number)
                seen[number] = real if before is None else real | before
            self._final = carried
            yield self._build(units, values, tensors)
        if not carried:
            raise InputError("the input has no steps")
        self._compare(arrays, total)

    # -- the common part

    def _note(self, text: str) -> None:
        """Keep a note, once."""
        if text and text not in self.notes:
            self.notes.append(text)

    def _prepare(self, model: Model, targets: Sequence[int], traced: bool) -> Prepared:
        wanted = "the model's output"
        if self.names or traced:
            layers = dict.fromkeys(model.calls[k].layer.address for k in targets)
            wanted = " and ".join(f"'{address}'" for address in layers)
        return prepare(model, targets, wanted, self.dtype, self._evaluators)

    def _compute(
        self,
        model: Model,
        targets: Sequence[int],
        x: Any,
        mask: Array | None,
        lengths: Array | None,
        initial_state: StateLike | None,
        keep: Mapping[int, Collection[str]],
        sequences: Collection[int],
    ) -> Values:
        prepared = self._prepare(model, targets, bool(keep))
        arrays = self._arrays(x, prepared.inputs)
        self._compare(arrays)
        batch = batch_of(arrays)
        states = self._initial(prepared, initial_state, batch)
        mask, lengths = checked_mask(mask, arrays), checked_lengths(lengths, arrays)
        self._aligned = self._follow(model, targets, lengths, arrays)
        carrying = self._carrying(prepared, targets) if self.stateful else []
        pieces = []
        size = self._piece(prepared, arrays, bool(keep))
        for start in range(0, batch, size):
            rows = slice(start, min(start + size, batch))
            request = Request(
                keep,
                sequences,
                rows_of(states, rows),
                lengths=None if lengths is None else lengths[rows],
                mask=None if mask is None else mask[rows],
            )
            inputs = {
                entry.call: Tensor(array if size >= batch else array[rows])
                for entry, array in arrays
            }
            try:
                pieces.append(prepared.executor.run(inputs, request, targets))
            except (InputError, ShapeError) as error:
                raise _with_lengths(error, arrays) from error
        values = joined(pieces, [call.layer for call in prepared.model.calls])
        if mask is not None and not values.mask_used:
            steps = " or ".join(map(str, sorted(set(steps_of(arrays).values()))))
            raise ShapeError("mask", f"({batch}, {steps}), as the input has", mask.shape)
        self._final = {number: dict(result.final) for number, result in values.layers.items()}
        self._carried = {unit.call: self._final[unit.call] for unit in carrying}
        return values

    def _follow(
        self,
        model: Model,
        targets: Sequence[int],
        lengths: Array | None,
        arrays: Given,
    ) -> frozenset[Reference]:
        """Where the ends of sequences of unequal length are known; nothing where all are equal.

        Raises:
            UnsupportedFeatureError: if the filling behind an end would change a result.
        """
        longest = max(steps_of(arrays).values(), default=0)
        if lengths is None or (lengths == longest).all():
            return frozenset()
        inputs = [call for call, steps in steps_of(arrays).items() if steps == longest]
        aligned, reasons = uneven_flow(model, targets, inputs)
        if reasons:
            raise UnsupportedFeatureError(
                f"sequences of unequal length would mix with what fills them up: "
                f"{'; '.join(reasons)}; run each sequence by itself"
            )
        return aligned

    def _compare(self, arrays: Given, steps: int | None = None) -> None:
        """Note where an input is not as long, or has not as many sequences, as the model says.

        Args:
            arrays: the inputs.
            steps: of the whole sequence, where the inputs are its last block.
        """
        found = steps_of(arrays)
        for entry, array in arrays:
            if entry.call in found:
                self._note(length_note(found[entry.call] if steps is None else steps, entry))
            self._note(batch_note(array, entry))

    def _arrays(self, x: Any, inputs: Sequence[Input]) -> list[tuple[Input, Array]]:
        """The inputs of a run with their batch axes and dtypes."""
        given = match_inputs(x, inputs, self.model.inputs)
        arrays = []
        for entry in inputs:
            array = given[entry.name]
            if self.direct and self.time_major and array.ndim == 3:
                array = array.swapaxes(0, 1)
            array, had = with_batch_axis(array, entry)
            self.had_batch_axis = self.had_batch_axis if had is None else had
            arrays.append((entry, typed(array, entry, self.dtype)))
        sizes = {
            entry.name: array.shape[entry.batch_axis]
            for entry, array in arrays
            if entry.batch_axis is not None
        }
        if len(set(sizes.values())) > 1:
            raise InputError(
                "the inputs hold different numbers of sequences: "
                + ", ".join(f"{name} {size}" for name, size in sizes.items())
            )
        return arrays

    def _initial(
        self, prepared: Prepared, given: StateLike | None, batch: int
    ) -> dict[int, dict[str, tuple[Array, ...]]]:
        """Initial states: what the caller gives, else what an earlier chunk left."""
        if given is not None:
            names = [unit.name for unit in prepared.recurrent]
            chosen = self.names or ([names[0]] if len(names) == 1 else [])
            return parse_initial_state(given, prepared.recurrent, chosen, batch)
        if not self._carried:
            if self._passed_by_graph:
                self._note(
                    f"'{prepared.recurrent[0].name}' is run directly: the states that the model "
                    "would pass to it are zero unless given"
                )
            return {}
        carried = {k: v for k, v in self._carried.items() if k in prepared.needed}
        for number, parts in carried.items():
            rows = {len(state[0]) for state in parts.values()}
            if rows != {batch}:
                name = prepared.model.calls[number].layer.address
                raise InputError(
                    f"the states carried over for '{name}' are of {rows.pop()} sequences, this "
                    f"input has {batch}"
                )
        return carried

    def _carrying(self, prepared: Prepared, targets: Sequence[int]) -> list[Unit]:
        """The calls whose final states the next chunk starts from.

        Raises:
            UnsupportedFeatureError: if the sequence cannot be continued.
        """
        marked = [unit for unit in prepared.recurrent if recurrent_of(unit).stateful]
        if marked:
            rest = [unit.name for unit in prepared.recurrent if unit not in marked]
            note = (
                f"the file marks only some layers stateful; {listing(rest)} start afresh at each "
                "input, as in the framework"
            )
            self._note(note if rest else "")
            return marked
        before = time_mixing(prepared.model, [unit.call for unit in prepared.recurrent])
        after = uneven_flow(prepared.model, targets, [entry.call for entry in prepared.inputs])
        reasons = dict.fromkeys((*before, *after.reasons))
        if reasons:
            raise UnsupportedFeatureError(
                f"the sequence cannot be continued in the next input: {'; '.join(reasons)}"
            )
        return prepared.recurrent

    def _piece(self, prepared: Prepared, arrays: Given, traced: bool) -> int:
        """How many sequences to compute at once."""
        batch = batch_of(arrays)
        whole = any(_takes_whole_batch(prepared.model.calls[k]) for k in prepared.needed)
        if not self.direct:
            whole = whole or any(_is_onnx(call) for call in prepared.model.calls)
        if whole or any(entry.batch_axis != 0 for entry, _ in arrays):
            return batch
        if self.batch_size is not None:
            return self.batch_size
        steps = max((array.shape[1] if array.ndim > 1 else 1 for _, array in arrays), default=1)
        units = sum(
            cell.units for unit in prepared.recurrent for _, _, cell in recurrent_of(unit).cells()
        )
        features = sum(array[0].size for _, array in arrays)
        bytes_each = 4 * (features + steps * units * (8 if traced else 3)) + 1
        return int(max(1, min(batch, PIECE_BYTES // bytes_each)))

    def time_mixing(self) -> list[str]:
        """Why the traced layers cannot be run in blocks of steps; empty if they can.

        Raises:
            UnsupportedFeatureError: if they cannot be run at all.
        """
        targets = [unit.call for unit in lstm_units(self.model, self.names)]
        self._prepare(self.model, targets, True)
        return time_mixing(self.model, targets)

    @property
    def output_batch_axis(self) -> int:
        """Which axis of three-axis outputs holds the sequences: 1 in a time-major model."""
        return max((entry.batch_axis or 0 for entry in self.model.inputs), default=0)

    @property
    def states(self) -> dict[str, Array]:
        """Final states of every recurrent layer of the last run, (B, U), under their file names."""
        units = [unit for unit in recurrent_units(self.model) if unit.call in self._final]
        return named_states(units, self._final)


def _takes_whole_batch(call: Call) -> bool:
    """Whether a call may depend on all sequences at once, so that they cannot run in pieces."""
    constant = any(isinstance(value, Constant) for value in (*call.initial_state, call.lengths))
    return constant or call.condition is not None or isinstance(call.layer.operation, Foreign)


def _is_onnx(call: Call) -> bool:
    """Whether it is of a graph of ONNX, whose operators may move the axis of the sequences."""
    recurrent = call.layer.recurrent
    return recurrent is not None and recurrent.convention.startswith("onnx")


def _with_lengths(error: InputError, arrays: Given) -> InputError:
    """The error of a layer that does not accept any length, with both lengths named."""
    found = steps_of(arrays)
    notes = [
        note
        for entry, _ in arrays
        if entry.call in found and (note := length_note(found[entry.call], entry))
    ]
    return InputError(f"{error}; {'; '.join(notes)}") if notes else error
