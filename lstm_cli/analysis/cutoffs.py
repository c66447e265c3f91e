"""Cut-offs between what is remarkable about a unit and what is not."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ..errors import UsageError


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """All of them but ``lo`` and ``hi`` are this package's own, taken from no paper.

    Attributes:
        lo, hi: a gate below ``lo`` is saturated on the left, above ``hi`` on the right (Karpathy,
            Johnson and Fei-Fei 2015); also where ``closed``, ``memoryless`` and ``frozen`` begin.
        share: a unit is flagged where at least this share of its steps is saturated, or railed.
        eps: what counts as no activity at all, of max(1, largest |h| of the layer).
        write: largest |i g| of a unit that never writes.
        rail: a |c| above it is as good as infinite to tanh (tanh 3 is 0.995).
        twin: |correlation| of h from which on two units are the same one twice.
    """

    lo: float = 0.1
    hi: float = 0.9
    share: float = 0.95
    eps: float = 1e-6
    write: float = 1e-3
    rail: float = 3.0
    twin: float = 0.999

    def __post_init__(self) -> None:
        numbers = self.facts()
        wrong = next((name for name, value in numbers.items() if not value >= 0), None)
        if wrong is not None:
            raise UsageError(f"{wrong}: expected 0 or more, found {numbers[wrong]:g}")
        if self.lo > self.hi:
            raise UsageError(f"lo: expected no more than hi, {self.hi:g}, found {self.lo:g}")

    def facts(self) -> dict[str, float]:
        """By name, ready for JSON."""
        return asdict(self)
