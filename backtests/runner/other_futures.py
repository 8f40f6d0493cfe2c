"""The same past with another future: what the look-ahead check runs a strategy on. Copies; the feed stays as it is."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backtests.engine.request import Bars, Feed, FundingEvents, SymbolFeed, merge_times
from backtests.runner.outcome import RunJob

WOBBLE = 0.3  # of the bars' own volatility: so that the other future is no mere mirror image


def list_bar_times(feed: Feed) -> NDArray[np.int64]:
    """Open times of the run's bars, warm-up included: what the orders' i_bar counts."""
    return merge_times([symbol.bars.open_ms for symbol in feed.symbols])


def cut_off(job: RunJob, i_bar: int) -> RunJob:
    """The job as it would have been asked for at the close of this bar: nothing of the future is there."""
    end_ms = _close_ms(job, i_bar)
    symbols = tuple(_cut_symbol(symbol, end_ms) for symbol in job.feed.symbols)
    return replace(job, feed=Feed(symbols), request=replace(job.request, to_ms=end_ms))


def scramble(job: RunJob, i_bar: int, seed: int = 0) -> RunJob:
    """The job with other prices, volumes and funding after this bar, and the same bars in number and time.

    What rose falls: the logarithms of all later prices are turned upside down about the bar's close, with seeded
    noise on top. Each bar is multiplied or divided as a whole, and so stays a possible bar.
    """
    end_ms = _close_ms(job, i_bar)
    symbols = tuple(_scramble_symbol(symbol, end_ms, seed + i) for i, symbol in enumerate(job.feed.symbols))
    return replace(job, feed=Feed(symbols))


def _close_ms(job: RunJob, i_bar: int) -> int:
    return int(list_bar_times(job.feed)[i_bar]) + job.request.timeframe_ms


def _cut_symbol(symbol: SymbolFeed, end_ms: int) -> SymbolFeed:
    n_events = int(np.searchsorted(symbol.funding.time_ms, end_ms))
    funding = symbol.funding
    return replace(
        symbol,
        bars=_cut_bars(symbol.bars, end_ms),
        mark_bars=None if symbol.mark_bars is None else _cut_bars(symbol.mark_bars, end_ms),
        fine_bars=None if symbol.fine_bars is None else _cut_bars(symbol.fine_bars, end_ms),
        funding=FundingEvents(
            funding.time_ms[:n_events].copy(), funding.rate[:n_events].copy(), funding.mark_price[:n_events].copy()
        ),
    )


def _cut_bars(bars: Bars, end_ms: int) -> Bars:
    n = int(np.searchsorted(bars.open_ms, end_ms))
    names = ("open_ms", "open", "high", "low", "close", "volume")
    n_trades = None if bars.n_trades is None else bars.n_trades[:n].copy()
    return Bars(**{name: getattr(bars, name)[:n].copy() for name in names}, n_trades=n_trades)


def _scramble_symbol(symbol: SymbolFeed, end_ms: int, seed: int) -> SymbolFeed:
    bars = symbol.bars
    n = int(np.searchsorted(bars.open_ms, end_ms))
    if n in (0, len(bars)):
        return symbol
    random = np.random.default_rng(seed)
    steps = np.diff(np.log(bars.close[n - 1 :]))
    noise = np.exp(np.cumsum(random.normal(0.0, WOBBLE * float(steps.std()) + 1e-6, len(steps))))
    middle = float(bars.close[n - 1])
    times, funding = bars.open_ms[n:], symbol.funding
    is_later = funding.time_ms >= end_ms
    return replace(
        symbol,
        bars=_turn(bars, n, middle, noise, random),
        mark_bars=None if symbol.mark_bars is None else _turn_finer(symbol.mark_bars, end_ms, middle, times, noise),
        fine_bars=None if symbol.fine_bars is None else _turn_finer(symbol.fine_bars, end_ms, middle, times, noise),
        funding=FundingEvents(
            funding.time_ms,
            np.where(is_later, -1.5 * funding.rate, funding.rate),
            np.where(is_later, middle**2 / funding.mark_price, funding.mark_price),
        ),
    )


def _turn_finer(bars: Bars, end_ms: int, middle: float, times: NDArray[np.int64], noise: NDArray[np.float64]) -> Bars:
    """Finer or mark bars, with the noise of the bar that each lies in."""
    n = int(np.searchsorted(bars.open_ms, end_ms))
    at = np.clip(np.searchsorted(times, bars.open_ms[n:], side="right") - 1, 0, len(times) - 1)
    return _turn(bars, n, middle, noise[at], None)


def _turn(bars: Bars, n: int, middle: float, noise: NDArray[np.float64], random: np.random.Generator | None) -> Bars:
    """The first n bars, then the others upside down: a low becomes a high."""

    def turn(column: NDArray[np.float64], source: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate((column[:n], middle**2 / source[n:] * noise))

    volume = bars.volume
    if random is not None:  # a bar without volume stays one, since nothing can fill in it
        later = volume[n:].copy()
        later[later > 0] = random.permutation(later[later > 0])
        volume = np.concatenate((volume[:n], later))
    return replace(
        bars,
        open=turn(bars.open, bars.open),
        high=turn(bars.high, bars.low),
        low=turn(bars.low, bars.high),
        close=turn(bars.close, bars.close),
        volume=volume,
    )
