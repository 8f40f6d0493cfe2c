"""A small look-ahead check for one series of bars: with another future, orders up to a bar must stay what they were."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from backtests.engine.request import Bars, Feed
from backtests.engine.result import Rows
from backtests.runner.corpus.judge import LIMIT_CODES
from backtests.runner.outcome import RunJob, RunOutcome

MAX_CUTS = 3


def find_lookahead(job: RunJob, first: RunOutcome, run: Callable[[RunJob], RunOutcome]) -> int | None:
    """The first bar up to which orders change when the future does; None when they do not.

    `first` has succeeded.
    """
    assert first.commands is not None
    rows, n_bars = first.commands.rows, len(job.feed.symbols[0].bars)
    for cut in _choose_cuts(rows, n_bars):
        for other in (_cut_off(job, cut), _scramble(job, cut)):
            outcome = run(other)
            if outcome.failure is not None and outcome.failure.code in LIMIT_CODES:
                continue  # says nothing about the future
            if outcome.commands is None or _until(outcome.commands.rows, cut) != _until(rows, cut):
                return cut
    return None


def _choose_cuts(rows: Rows, n_bars: int) -> list[int]:
    """Just after orders, where knowledge of the future would show; in the middle when there are none."""
    bars = np.unique(rows["i_bar"])
    bars = bars[(bars > 0) & (bars < n_bars - 2)]
    if not len(bars):
        return [n_bars // 2]
    return [int(bars[i]) for i in np.linspace(0, len(bars) - 1, min(MAX_CUTS, len(bars))).astype(int)]


def _until(rows: Rows, i_bar: int) -> bytes:
    return bytes(rows[rows["i_bar"] <= i_bar].tobytes())


def _cut_off(job: RunJob, i_bar: int) -> RunJob:
    """The same job as if it had been asked for at the close of this bar."""
    bars = _map(job.feed, lambda column: column[: i_bar + 1].copy())
    to_ms = int(bars.open_ms[-1]) + job.request.timeframe_ms
    return replace(job, feed=_with_bars(job.feed, bars), request=replace(job.request, to_ms=to_ms))


def _scramble(job: RunJob, i_bar: int) -> RunJob:
    """The same past, another future: the changes after the bar in another order, turned upside down."""
    bars = job.feed.symbols[0].bars
    factor = np.ones(len(bars))
    changes = np.diff(np.log(bars.close))[i_bar:]
    factor[i_bar + 1 :] = np.exp(np.cumsum(-2.0 * changes + 0.02 * (-1.0) ** np.arange(len(changes))))
    columns = {name: getattr(bars, name) * factor for name in ("open", "high", "low", "close")}
    return replace(job, feed=_with_bars(job.feed, replace(bars, **columns)))


def _map(feed: Feed, change: Callable[[np.ndarray], np.ndarray]) -> Bars:
    bars = feed.symbols[0].bars
    names = ("open_ms", "open", "high", "low", "close", "volume")
    return Bars(**{name: change(getattr(bars, name)) for name in names})


def _with_bars(feed: Feed, bars: Bars) -> Feed:
    return Feed((replace(feed.symbols[0], bars=bars),))
