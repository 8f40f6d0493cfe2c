"""The look-ahead and determinism check of a source: pure logic over what several runs of it ordered.

The whole span is run; once more in other surroundings, where every order must be the same; then on series that differ
only after some bar, where every order up to that bar must be the same. docs/concepts/look-ahead.md says what this can
catch, and what it cannot.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backtests.engine.errors import IntegrityError
from backtests.engine.replay import check_commands
from backtests.engine.result import CommandLog
from backtests.runner.order_texts import describe_command
from backtests.runner.other_futures import cut_off, list_bar_times, scramble
from backtests.runner.outcome import Failure, RunJob

MAX_CUTS = 6
PREFIX_CUTS = (1, 4)  # which of them are run on the past alone as well
TOLERANCE = 1e-9  # relative: the last digits of a sum may depend on how many bars stand behind it
SEED = 20_250_112
# A run on another future may break with the strategy's own error, which proves nothing; at a limit the check ends.
LIMIT_CODES = frozenset({"time_limit", "cpu_limit", "memory_limit", "output_limit"})
OURS_CODES = frozenset({"integrity", "internal", "no_jail", "killed", "crashed"})

type VerdictName = Literal["passed", "looks_ahead", "not_deterministic", "no_orders", "failed"]
type OtherRun = Literal["again", "past_only", "other_future"]


@dataclass(frozen=True, slots=True, eq=False)
class Orders:
    """What one run ordered; `failure` when it did not come to its end."""

    log: CommandLog
    failure: Failure | None = None


type Runner = Callable[[RunJob, bool], Orders]  # True: in other surroundings (hash seed, clock)


@dataclass(frozen=True, slots=True)
class Difference:
    """The first order that is not the same. An empty text: there was none at that bar."""

    other_run: OtherRun
    bar_time_ms: int  # open time of the bar at whose close it was made
    expected: str  # in the run of the whole span
    found: str  # in the other run
    cut_time_ms: int | None = None  # open time of the last bar that both runs have in common


@dataclass(frozen=True, slots=True)
class Verdict:
    """`n_runs` counts those that could be compared with the first."""

    name: VerdictName
    n_bars: int
    n_orders: int = 0
    n_runs: int = 0
    difference: Difference | None = None
    failure: Failure | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values for a row and the API."""
        return {
            "n_bars": self.n_bars,
            "n_orders": self.n_orders,
            "n_runs": self.n_runs,
            "difference": None if self.difference is None else asdict(self.difference),
            "failure": None if self.failure is None else self.failure.to_json(),
        }


def check_lookahead(job: RunJob, run: Runner) -> Verdict:
    """Run the job's source again and again, and compare. `run` may raise to end the check."""
    times = list_bar_times(job.feed)
    first_bar = int(np.searchsorted(times, job.request.from_ms))
    n_bars = len(times) - first_bar
    whole = _run(job, run, times, first_bar)
    if whole.failure is not None:
        return Verdict("failed", n_bars, failure=whole.failure.with_source_line(job.source))
    n_orders, n_runs = len(whole.log.rows), 0
    for kind, other_job, cut in _list_others(job, whole.log, first_bar, len(times)):
        other = _run(other_job, run, times, first_bar, is_elsewhere=kind == "again")
        if other.failure is not None and (kind == "again" or other.failure.code in LIMIT_CODES | OURS_CODES):
            return _judge_failed_run(kind, other.failure.with_source_line(job.source), n_bars, n_orders, n_runs)
        if other.failure is not None:
            continue
        n_runs += 1
        found = find_difference(whole.log, other.log, cut, tolerance=0.0 if kind == "again" else TOLERANCE)
        if found is not None:
            name: VerdictName = "not_deterministic" if kind == "again" else "looks_ahead"
            return Verdict(name, n_bars, n_orders, n_runs, _describe(found, kind, job, times, cut))
    if not n_orders:
        return Verdict("no_orders", n_bars, 0, n_runs)
    if n_runs < 2:
        why = "It broke on every other future that it was run on, so nothing could be compared."
        return Verdict("failed", n_bars, n_orders, n_runs, failure=Failure("not_comparable", why))
    return Verdict("passed", n_bars, n_orders, n_runs)


def choose_cuts(log: CommandLog, first_bar: int, n_bars: int) -> list[int]:
    """Bars at which orders were made, one drawn from each part of the span: there knowledge of the future would show.

    The others are filled up evenly where there are few orders. None where there are no orders at all.
    """
    bars = np.unique(log.rows["i_bar"])
    bars = bars[bars < n_bars - 2]
    late = bars[bars >= first_bar + (n_bars - first_bar) // 10]
    bars = late if len(late) >= MAX_CUTS else bars
    if not len(log.rows):
        return []
    random = np.random.default_rng(SEED)
    drawn = {int(random.choice(part)) for part in np.array_split(bars, MAX_CUTS) if len(part)}
    for even in np.linspace(first_bar, n_bars - 1, MAX_CUTS + 2).astype(int)[1:-1]:
        if len(drawn) < MAX_CUTS and even < n_bars - 2:
            drawn.add(int(even))
    return sorted(drawn)


def find_difference(
    expected: CommandLog, found: CommandLog, last_bar: int, *, tolerance: float
) -> tuple[int, str, str] | None:
    """(bar, expected, found) of the first order up to that bar that differs; an empty text where there is none."""
    ours, theirs = (log.rows[log.rows["i_bar"] <= last_bar] for log in (expected, found))
    n = min(len(ours), len(theirs))
    is_same = np.ones(n, bool)
    for name in ours.dtype.names or ():
        if name != "i_tag":
            is_same &= _is_close(ours[name][:n], theirs[name][:n], tolerance)
    is_same &= np.array([_tag(expected, a) == _tag(found, b) for a, b in zip(ours[:n], theirs[:n], strict=True)], bool)
    i = n if bool(is_same.all()) else int(np.argmin(is_same))
    if i == len(ours) == len(theirs):
        return None
    bars = [int(rows["i_bar"][i]) if i < len(rows) else None for rows in (ours, theirs)]
    bar = min(bar for bar in bars if bar is not None)
    texts = [
        describe_command(log, rows[i]) if at == bar else ""
        for log, rows, at in zip((expected, found), (ours, theirs), bars, strict=True)
    ]
    return bar, texts[0], texts[1]


def _list_others(job: RunJob, log: CommandLog, first_bar: int, n_bars: int) -> list[tuple[OtherRun, RunJob, int]]:
    others: list[tuple[OtherRun, RunJob, int]] = [("again", job, n_bars)]
    for i, cut in enumerate(choose_cuts(log, first_bar, n_bars)):
        others.append(("other_future", scramble(job, cut, SEED + cut), cut))
        if i in PREFIX_CUTS:
            others.append(("past_only", cut_off(job, cut), cut))
    return others


def _run(job: RunJob, run: Runner, times: NDArray[np.int64], first_bar: int, *, is_elsewhere: bool = False) -> Orders:
    """The child is hostile: its rows are looked at before anyone indexes by them."""
    orders = run(job, is_elsewhere)
    log = orders.log
    try:
        check_commands(log.rows, first_bar, len(times), len(job.feed.symbols), len(log.tags))
    except IntegrityError as error:
        return Orders(log, Failure("integrity", f"The run's process sent orders that cannot be. {error}"))
    return orders


def _judge_failed_run(kind: OtherRun, failure: Failure, n_bars: int, n_orders: int, n_runs: int) -> Verdict:
    is_its_own = kind == "again" and failure.code not in LIMIT_CODES | OURS_CODES
    return Verdict("not_deterministic" if is_its_own else "failed", n_bars, n_orders, n_runs, failure=failure)


def _describe(
    found: tuple[int, str, str], kind: OtherRun, job: RunJob, times: NDArray[np.int64], cut: int
) -> Difference:
    bar, expected, other = found
    cut_ms = None if kind == "again" else int(times[cut])
    return Difference(kind, int(times[bar]), expected, other, cut_ms)


def _is_close(ours: NDArray[Any], theirs: NDArray[Any], tolerance: float) -> NDArray[np.bool_]:
    if ours.dtype.kind != "f":
        return np.asarray(ours == theirs, bool)
    return np.asarray(np.isclose(ours, theirs, rtol=tolerance, atol=0.0, equal_nan=True), bool)


def _tag(log: CommandLog, row: np.void) -> str:
    return log.tags[row["i_tag"]] if row["i_tag"] >= 0 else ""
