"""What is timed, by whom, under which fill rule: the jobs of `make bench-peers`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.series import MONTH, YEAR

BALANCE = 1_000_000.0
FEE = 0.0004
PAIRS = tuple((fast, slow) for fast in range(5, 45) for slow in range(50, 175, 5))


@dataclass(frozen=True)
class Work:
    """One piece of work. rule: "flip" (long above, short below the crossing of two means) or "level"."""

    name: str
    title: str
    n_bars: int
    rule: str = "flip"
    stop_loss: float = 0.0  # distance from the entry, as a ratio; 0: none. Both or none are given.
    take_profit: float = 0.0
    pairs: tuple[tuple[int, int], ...] = ()  # of a sweep: (fast, slow)

    @property
    def exits(self) -> dict[str, float]:
        return {"stop_loss": self.stop_loss, "take_profit": self.take_profit} if self.stop_loss else {}

    @property
    def combinations(self) -> int:
        return len(self.pairs) or 1


W1 = Work("W1", "SMA 20/50 flip, a month", MONTH)
W2 = Work("W2", "SMA 20/50 flip, a year", YEAR)
W3 = Work("W3", "close against a level, a year", YEAR, rule="level")
W4 = Work("W4", f"{len(PAIRS):,} pairs of SMA lengths, a month", MONTH, pairs=PAIRS)
W5 = Work("W5", "W2 with a 1 % stop and a 2 % target", YEAR, stop_loss=0.01, take_profit=0.02)
WORKS = (W1, W2, W3, W4, W5)


@dataclass(frozen=True)
class Entrant:
    """One way to do the work: an engine, which of its interfaces, and the price at which a signal is filled."""

    engine: str
    api: str  # "callback": Python at every bar; "targets", "arrays": none
    fill: str  # "close" of the signal's bar, or "next_open"
    module: str  # of benchmarks.peers
    is_timed: bool = True  # otherwise it runs once, for its numbers

    @property
    def key(self) -> str:
        return f"{self.engine} {self.api} {self.fill}"


CALLBACK = Entrant("hindsight", "callback", "next_open", "run_hindsight")
CALLBACK_AT_CLOSE = Entrant("hindsight", "callback", "close", "run_hindsight", is_timed=False)
TARGETS = Entrant("hindsight", "targets", "close", "run_hindsight")
BACKTESTING = Entrant("backtesting.py", "callback", "next_open", "run_backtesting")
VECTORBT = Entrant("vectorbt", "arrays", "close", "run_vectorbt")
FLOOR = Entrant("empty loop", "callback", "none", "run_floor")


@dataclass(frozen=True)
class Job:
    work: Work
    entrant: Entrant

    @property
    def name(self) -> str:
        return f"{self.work.name}-{self.entrant.key}".replace(" ", "-")

    def to_json(self, series: Path, level: float) -> dict[str, Any]:
        """What the engine's process is told; `series` is the file with the work's bars."""
        return {
            "work": self.work.name,
            "api": self.entrant.api,
            "fill": self.entrant.fill,
            "series": str(series),
            "rule": self.work.rule,
            "level": level,
            "exits": self.work.exits,
            "pairs": [list(pair) for pair in self.work.pairs],
            "balance": BALANCE,
            "fee": FEE,
        }


def jobs_of(work: Work) -> list[Job]:
    """Every way in which this work is done, ours first. The floor is measured beside W3, whose callback is lightest."""
    if work.pairs:
        return [Job(work, TARGETS), Job(work, VECTORBT)]
    entrants = [CALLBACK, BACKTESTING, TARGETS, VECTORBT, CALLBACK_AT_CLOSE]
    if work.rule == "level":
        entrants.append(FLOOR)
    return [Job(work, entrant) for entrant in entrants]
