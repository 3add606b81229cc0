"""The results of `make bench`: figures, each with its values in one run, and goals for some of them. Pure."""

import math
import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

Part = str


class Goal(msgspec.Struct, frozen=True):
    """A bound that the median should keep."""

    kind: Literal["at least", "at most"]
    bound: float

    def is_met_by(self, value: float) -> bool:
        return value >= self.bound if self.kind == "at least" else value <= self.bound

    def __str__(self) -> str:
        return f"{self.kind} {self.bound:g}"


class Figure(msgspec.Struct, frozen=True):
    """One thing that was measured. `values` has one for each round, or a single one."""

    name: str
    unit: str
    values: tuple[float, ...]
    goal: Goal | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def is_good(self) -> bool | None:
        """Whether its goal is met; None if it has none."""
        return None if self.goal is None else self.goal.is_met_by(self.median)


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the bench. `took_seconds` says how long each part took, `failed` which parts could not be measured."""

    at: datetime
    machine: dict[str, str]
    settings: dict[str, int]
    took_seconds: dict[Part, int]
    failed: tuple[Part, ...] = ()
    figures: dict[Part, tuple[Figure, ...]]

    def figure(self, part: Part, name: str) -> Figure | None:
        """None if that was not measured."""
        return next((one for one in self.figures.get(part, ()) if one.name == name), None)

    def median(self, part: Part, name: str) -> float | None:
        """None if that was not measured."""
        one = self.figure(part, name)
        return None if one is None else one.median

    def missed(self) -> list[tuple[Part, Figure]]:
        """The figures whose goals were not met."""
        return [(part, one) for part, figures in self.figures.items() for one in figures if one.is_good is False]


def at_least(bound: float) -> Goal:
    return Goal("at least", bound)


def at_most(bound: float) -> Goal:
    return Goal("at most", bound)


def figure(name: str, unit: str, *values: float, goal: Goal | None = None) -> Figure:
    """A figure, with its values to four digits."""
    return Figure(name, unit, tuple(_rounded(value) for value in values), goal)


def ratio(name: str, ours: Sequence[float], theirs: Sequence[float], *, goal: Goal | None = None) -> Figure:
    """The ratio of two things that were measured in the same rounds, round by round."""
    return figure(name, "times", *(one / other for one, other in zip(ours, theirs, strict=True)), goal=goal)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that `percent` of them do not exceed. Raises ValueError if there are none."""
    if not values:
        raise ValueError("no values")
    rank = math.ceil(len(values) * percent / 100)
    return sorted(values)[max(rank, 1) - 1]


def shown(value: float) -> str:
    """A value for people: three digits that count, thousands apart."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 3)}f}"


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def by_process(what: str, unit: str, rounds: Sequence[Mapping[str, float]], *, scale: float = 1) -> list[Figure]:
    """A figure for each process, from what each of them spent in each round."""
    return [figure(f"{what}, {name}", unit, *(spent[name] * scale for spent in rounds)) for name in rounds[0]]


def as_json(results: Results) -> bytes:
    """Indented, so that a diff shows which figure has changed."""
    return msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n"


def from_json(raw: bytes) -> Results:
    """Raises msgspec.DecodeError."""
    return msgspec.json.decode(raw, type=Results)
