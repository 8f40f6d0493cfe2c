"""QualityReport: what is odd about rows, and whether they are taken, taken and flagged, or refused as a whole."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketdata.arrays import CandleArrays, FundingArrays, IntArray, TimedRows
from marketdata.timeframes import HOUR_MS, TIMEFRAME_MS, find_gaps, grid_phase_ms, is_on_grid

JUMP_RATIO = 0.1  # between a close and the next open
SPIKE_RATIO = 0.5  # of a wick beyond the body
MAX_LISTED = 50
ROUND_MS = 1_000
MIN_PRICE, MAX_PRICE, MAX_VOLUME = 1e-12, 1e12, 1e18  # beyond these a number is a mistake


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    FLAGGED = "flagged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason to refuse all rows. `i_row` counts from 0 in the order given; -1 where no single row is to blame."""

    code: str
    text: str
    i_row: int = -1


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Counts and places over n rows. Times are int64 UTC ms.

    [begin_ms, end_ms) is what the on-grid rows span; `gaps` are half-open stretches of it without a row; `jumps` lists
    the open times of suspicious rows (the first 50). n_contradictory counts rows without volume whose trades are
    counted or whose price moves.
    """

    n_rows: int
    first_ms: int
    last_ms: int
    begin_ms: int
    end_ms: int
    gaps: tuple[tuple[int, int], ...] = ()
    n_duplicates: int = 0
    n_out_of_order: int = 0
    n_off_grid: int = 0
    off_grid_first_ms: int | None = None
    off_grid_last_ms: int | None = None
    n_no_trade: int = 0
    n_contradictory: int = 0
    jumps: tuple[int, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def verdict(self) -> Verdict:
        if self.problems:
            return Verdict.REFUSED
        return Verdict.FLAGGED if self.summary() else Verdict.ACCEPTED

    def summary(self) -> str:
        """What is odd, in a few words; empty where nothing is."""
        counts = (
            (len(self.gaps), "gaps"),
            (self.n_duplicates, "rows twice"),
            (self.n_out_of_order, "out of order"),
            (self.n_off_grid, "off the grid"),
            (self.n_no_trade, "without trades"),
            (self.n_contradictory, "in contradiction with themselves"),
            (len(self.jumps), "jumps"),
        )
        return ", ".join(f"{n} {what}" for n, what in counts if n)

    def explain(self) -> str:
        """Why the rows are refused, as one clause; empty when they are not."""
        return "; ".join(problem.text for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict.value}


def check_candles(candles: CandleArrays, timeframe: str, kind: str = "trade") -> QualityReport:
    """Look at candles (at least one) in the order in which a file gives them."""
    ordered, n_duplicates, n_out_of_order, problems = _order(candles)
    problems += list(_find_impossible(candles))
    stamps = ordered.open_ms
    phase_ms = grid_phase_ms(timeframe, stamps)
    fits = is_on_grid(timeframe, stamps, phase_ms)
    problems += list(_find_wrong_timeframe(stamps, fits, timeframe))
    on_grid, off_grid = stamps[fits], stamps[~fits]
    begin_ms = int(on_grid[0]) if len(on_grid) else int(stamps[0])
    end_ms = int(on_grid[-1]) + TIMEFRAME_MS[timeframe] if len(on_grid) else int(stamps[-1])
    return QualityReport(
        n_rows=len(candles),
        first_ms=int(stamps[0]),
        last_ms=int(stamps[-1]),
        begin_ms=begin_ms,
        end_ms=end_ms,
        gaps=find_gaps(timeframe, on_grid, begin_ms, end_ms, phase_ms) if len(on_grid) else (),
        n_duplicates=n_duplicates,
        n_out_of_order=n_out_of_order,
        n_off_grid=len(off_grid),
        off_grid_first_ms=int(off_grid[0]) if len(off_grid) else None,
        off_grid_last_ms=int(off_grid[-1]) if len(off_grid) else None,
        n_no_trade=int(np.count_nonzero(ordered.volume == 0)) if kind == "trade" else 0,
        n_contradictory=_count_contradictory(ordered) if kind == "trade" else 0,
        jumps=_find_jumps(ordered, TIMEFRAME_MS[timeframe]),
        problems=tuple(problems),
    )


def check_funding(funding: FundingArrays) -> QualityReport:
    """Look at funding events (at least one). A gap is more than one and a half intervals without an event."""
    ordered, n_duplicates, n_out_of_order, problems = _order(funding)
    stamps = (ordered.time_ms + ROUND_MS // 2) // ROUND_MS * ROUND_MS
    interval_ms = (ordered.interval_hours * HOUR_MS).astype(np.int64)
    holes = np.flatnonzero(np.diff(stamps) > 1.5 * interval_ms[1:])
    return QualityReport(
        n_rows=len(funding),
        first_ms=int(ordered.time_ms[0]),
        last_ms=int(ordered.time_ms[-1]),
        begin_ms=int(stamps[0]),
        end_ms=int(stamps[-1] + interval_ms[-1]),
        gaps=tuple((int(stamps[i] + interval_ms[i]), int(stamps[i + 1])) for i in holes),
        n_duplicates=n_duplicates,
        n_out_of_order=n_out_of_order,
        problems=tuple(problems),
    )


def _order[Rows: TimedRows](rows: Rows) -> tuple[Rows, int, int, list[Problem]]:
    """Rows by time, one per stamp; how many were repeated and out of order; problems with the repeated ones."""
    stamps = rows.stamps
    steps = np.diff(stamps)
    if bool(np.all(steps > 0)):
        return rows, 0, 0, []
    order = np.argsort(stamps, kind="stable")
    ordered = rows.take(order)
    is_repeated = np.concatenate(([False], np.diff(ordered.stamps) == 0))
    problems = []
    repeats = np.flatnonzero(is_repeated)
    for name, column in ordered.columns().items():
        differs = ~(
            (column[repeats] == column[repeats - 1]) | (np.isnan(column[repeats]) & np.isnan(column[repeats - 1]))
        )
        if bool(np.any(differs)):
            i_row = int(order[repeats[np.argmax(differs)]])
            text = f"two rows of {_moment(int(stamps[i_row]))} differ in {name}: remove the wrong one"
            problems.append(Problem("conflicting_rows", text, i_row))
            break
    return ordered.take(~is_repeated), len(repeats), int(np.count_nonzero(steps < 0)), problems


def _find_impossible(candles: CandleArrays) -> Iterator[Problem]:
    volumes = (candles.volume, candles.quote_volume, candles.taker_buy_volume)
    is_negative, is_absurd = (np.zeros(len(candles), np.bool_) for _ in range(2))
    for volume in volumes:  # NaN: not known, which only the volume itself must not be
        is_negative |= volume < 0
        is_absurd |= volume > MAX_VOLUME
    top = np.maximum(np.maximum(candles.open, candles.high), np.maximum(candles.low, candles.close))
    bottom = np.minimum(np.minimum(candles.open, candles.high), np.minimum(candles.low, candles.close))
    is_nan = ~(np.isfinite(top) & np.isfinite(bottom) & np.isfinite(candles.volume))
    is_nan |= np.isinf(candles.quote_volume) | np.isinf(candles.taker_buy_volume)
    is_absurd |= (top > MAX_PRICE) | ((bottom > 0) & (bottom < MIN_PRICE))
    for is_bad, code, what in (
        (is_nan, "not_finite", "a price or volume that is not a number"),
        ((bottom <= 0) & ~is_nan, "price_not_positive", "a price that is not above zero"),
        (is_negative & ~is_nan, "negative_volume", "a negative volume"),
        (is_absurd & ~is_nan, "absurd_number", "a price or volume beyond anything that is traded"),
        (
            ((candles.high < top) | (candles.low > bottom)) & ~is_nan,
            "impossible_candle",
            "a high below, or a low above, its open or close",
        ),
    ):
        if n := int(np.count_nonzero(is_bad)):
            i_row = int(np.argmax(is_bad))
            rows = f"{n} {'rows have' if n > 1 else 'row has'} {what}, first at {_moment(int(candles.open_ms[i_row]))}"
            yield Problem(code, f"{rows}: correct or remove it, or fetch the file again", i_row)


def _count_contradictory(candles: CandleArrays) -> int:
    moves = (candles.high != candles.low) | (candles.n_trades > 0)
    return int(np.count_nonzero((candles.volume == 0) & moves))


def _find_wrong_timeframe(stamps: IntArray, fits: NDArray[np.bool_], timeframe: str) -> Iterator[Problem]:
    if not bool(np.any(fits)):
        yield Problem(
            "off_grid", f"no row opens on the grid of {timeframe} candles: check the timeframe and the time zone"
        )
        return
    if len(stamps) < 3:
        return
    steps, counts = np.unique(np.diff(stamps), return_counts=True)
    usual_ms = int(steps[np.argmax(counts)])
    if usual_ms != TIMEFRAME_MS[timeframe] and counts.max() * 2 > counts.sum():
        seconds = usual_ms / 1000
        usual = f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} seconds"
        text = f"most rows are {usual} apart, which are no {timeframe} candles: give the timeframe that they are of"
        yield Problem("wrong_timeframe", text)


def _find_jumps(candles: CandleArrays, length_ms: int) -> tuple[int, ...]:
    if not bool(np.all(candles.low > 0)):
        return ()
    top, bottom = np.maximum(candles.open, candles.close), np.minimum(candles.open, candles.close)
    is_odd = (candles.high > top * (1 + SPIKE_RATIO)) | (candles.low < bottom / (1 + SPIKE_RATIO))
    is_next = np.diff(candles.open_ms) == length_ms
    is_odd[1:] |= is_next & (np.abs(candles.open[1:] / candles.close[:-1] - 1) > JUMP_RATIO)
    return tuple(int(stamp) for stamp in candles.open_ms[is_odd][:MAX_LISTED])


def _moment(time_ms: int) -> str:
    return dt.datetime.fromtimestamp(time_ms / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
