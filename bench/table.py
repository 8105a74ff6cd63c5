"""Figures and the table they end in, ready for docs/benchmarks.md."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HEAD = ("part", "what is measured", "goal", "measured: median (min–max)", "reached")


@dataclass(frozen=True)
class Spread:
    """The median of some runs between the least and the most."""

    median: float
    low: float
    high: float
    unit: str
    digits: int

    def __str__(self) -> str:
        one, low, high = (f"{each:,.{self.digits}f}" for each in (self.median, self.low, self.high))
        return f"{one} {self.unit}" if self.low == self.high else f"{one} ({low}–{high}) {self.unit}"


def spread(values: Iterable[float], unit: str, digits: int = 0) -> Spread:
    figures = sorted(values)
    return Spread(statistics.median(figures), figures[0], figures[-1], unit, digits)


@dataclass(frozen=True)
class Row:
    """One line of the table. `reached` is None where there is no goal, or the goal is for another number of people."""

    part: str
    what: str
    goal: str
    measured: str
    reached: bool | None = None

    def cells(self) -> tuple[str, ...]:
        reached = "–" if self.reached is None else "yes" if self.reached else "**no**"
        return self.part, self.what, self.goal or "–", self.measured, reached


def markdown(rows: Sequence[Row]) -> str:
    lines = [HEAD, ("---",) * len(HEAD), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
