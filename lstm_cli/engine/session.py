"""Runs of a model: what it returns, and what its LSTM layers do at every step.

Letters: B sequences, T time steps, F input features, U units.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from ..errors import InputError, UnsupportedFeatureError, UsageError
from ..model import Array, Foreign, Input, Layer, Model, Reference, choose
from ..traces import Trace, Traces
from .blocks import BlockRun
from .branches import made_units
from .continuing import carried_states, continued
from .direct import direct_choice, needs_layer
from .foreign import Evaluator
from .inputs import given_arrays
from .pieces import piece_size, run_in_pieces
from .plan import Prepared, prepare, recurrent_units
from .results import results_of
from .returns import Axes
from .selection import Unit, lstm_units, prefixes
from .sizes import (
    Given,
    batch_of,
    checked_lengths,
    checked_mask,
    size_notes,
)
from .states import StateLike, named_states, parse_initial_state
from .targets import run_targets
from .time_steps import time_mixing
from .tracing import DEFAULT_TENSORS, build_trace, trace_request
from .unequal_lengths import known_ends
from .values import Request, StatesByCall, Values


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
        self.model, self._note_on_states = model, ""
        if self.direct:
            self.model, self.names, self._note_on_states = direct_choice(model, self.names)
        self.had_batch_axis = True
        self.ended: frozenset[str] = frozenset()
        self.axes: dict[str, Axes] = {}
        operations = [layer.operation for layer in model.layers]
        needed = {each.library for each in operations if isinstance(each, Foreign)}
        self._evaluators = {name: self.libraries[name]() for name in needed & set(self.libraries)}
        self._ends: Mapping[Reference, Axes] = {}
        self._carried: StatesByCall = {}
        self._final: StatesByCall = {}

    def chosen_layers(self) -> list[Layer]:
        """The layers that the chosen names mean, in the file as it is."""
        return [choose(self.source, name).layer for name in self.names]

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
            raise needs_layer(self.source)
        targets = run_targets(self.model, self.names, self.direct, return_sequences, return_state)
        calls = [reference.call for reference in targets.references]
        request = Request(mask=mask, lengths=lengths)
        values = self._compute(targets.model, calls, x, request, initial_state)
        arrays, self.axes, self.ended = results_of(
            targets,
            values,
            ends=self._ends,
            lengths=None if lengths is None else np.asarray(lengths),
            batch_axis=self.output_batch_axis,
            time_major=self.time_major,
        )
        return arrays

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
        units = lstm_units(self.model, self.names)
        request = replace(trace_request(units, tensors), mask=mask, lengths=lengths)
        values = self._compute(self.model, list(request.keep), x, request, initial_state)
        made, note = made_units(self.model, units, values, all_wanted=bool(self.names))
        self._note(note)
        return self._build(made, values, tensors)

    def _build(self, units: list[Unit], values: Values, tensors: Collection[str]) -> Trace | Traces:
        fronts = prefixes(units, len(self.names) == 1, len(self.source.lstm_layers))
        return build_trace(self.source, units, fronts, values, tensors)

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
        units = lstm_units(self.model, self.names)
        request = trace_request(units, tensors)
        targets = list(request.keep)
        prepared = self._prepare(self.model, targets, True)
        reasons = time_mixing(self.model, targets)
        if reasons:
            raise UnsupportedFeatureError(
                f"a run in blocks needs layers that go step by step: {'; '.join(reasons)}"
            )
        run = BlockRun(prepared, targets, request)
        arrays: Given = []
        for block in blocks:
            arrays = self._arrays(block, prepared.inputs)
            first = not run.steps
            states = self._initial(prepared, initial_state, arrays) if first else self._final
            values = run.block(arrays, states)
            self._final = values.final_states
            yield self._build(units, values, tensors)
        if not run.steps:
            raise InputError("the input has no steps")
        self._note(*size_notes(arrays, run.steps))

    def time_mixing(self) -> list[str]:
        """Why the traced layers cannot be run in blocks of steps; empty if they can.

        Raises:
            UnsupportedFeatureError: if they cannot be run at all.
        """
        targets = [unit.call for unit in lstm_units(self.model, self.names)]
        self._prepare(self.model, targets, True)
        return time_mixing(self.model, targets)

    # -- after a run

    @property
    def output_batch_axis(self) -> int:
        """Which axis of three-axis outputs holds the sequences: 1 in a time-major model."""
        return max((entry.batch_axis or 0 for entry in self.model.inputs), default=0)

    @property
    def states(self) -> dict[str, Array]:
        """Final states of every recurrent layer of the last run, (B, U), under their file names."""
        units = [unit for unit in recurrent_units(self.model) if unit.call in self._final]
        return named_states(units, self._final)

    # -- the common part

    def _note(self, *texts: str) -> None:
        """Keep notes, each once."""
        self.notes += [text for text in dict.fromkeys(texts) if text and text not in self.notes]

    def _prepare(self, model: Model, targets: Sequence[int], traced: bool) -> Prepared:
        wanted = "the model's output"
        if self.names or traced:
            layers = dict.fromkeys(model.calls[k].layer.address for k in targets)
            wanted = " and ".join(f"'{address}'" for address in layers)
        return prepare(model, targets, wanted, self.dtype, self._evaluators)

    def _arrays(self, x: Any, inputs: Sequence[Input]) -> Given:
        swapped = self.direct and self.time_major
        arrays, self.had_batch_axis = given_arrays(
            x, inputs, self.model.inputs, dtype=self.dtype, swapped=swapped
        )
        return arrays

    def _initial(self, prepared: Prepared, given: StateLike | None, arrays: Given) -> StatesByCall:
        """Initial states: what the caller gives, else what an earlier chunk left."""
        if given is not None:
            names = [unit.name for unit in prepared.recurrent]
            chosen = self.names or ([names[0]] if len(names) == 1 else [])
            return parse_initial_state(given, prepared.recurrent, chosen, batch_of(arrays))
        if not self._carried:
            self._note(self._note_on_states)
        return carried_states(prepared, self._carried, batch_of(arrays))

    def _compute(
        self,
        model: Model,
        targets: Sequence[int],
        x: Any,
        request: Request,
        initial_state: StateLike | None,
    ) -> Values:
        """Run everything that ``targets`` depend on, with what the caller gives checked first."""
        traced = bool(request.keep)
        prepared = self._prepare(model, targets, traced)
        arrays = self._arrays(x, prepared.inputs)
        self._note(*size_notes(arrays))
        request = replace(
            request,
            states=self._initial(prepared, initial_state, arrays),
            mask=checked_mask(request.mask, arrays),
            lengths=checked_lengths(request.lengths, arrays),
        )
        self._ends = known_ends(model, targets, request.lengths, arrays)
        carrying: list[Unit] = []
        if self.stateful:
            carrying, note = continued(prepared, targets)
            self._note(note)
        size = piece_size(
            prepared, arrays, wanted=self.batch_size, traced=traced, direct=self.direct
        )
        values = run_in_pieces(prepared, arrays, request, targets, size)
        self._final = values.final_states
        self._carried = {unit.call: self._final[unit.call] for unit in carrying}
        return values
