"""Feed -> the planes that the kernels walk: one timeline for all symbols, no holes."""

import numpy as np
from numpy.typing import NDArray

from backtests.engine.errors import DataError, RequestError
from backtests.engine.kernels.layout import BAR, FUNDING_EVENT
from backtests.engine.kernels.state import Market, Rows
from backtests.engine.request import Bars, Feed, RunRequest, SymbolFeed, TradingMarket, merge_times, timeframe_to_ms

PRICES = ("open", "high", "low", "close")
BLOCK = 4096  # rows
COLUMNS = (*PRICES, "volume")

type Times = NDArray[np.int64]
type Mask = NDArray[np.bool_]


def build_market(request: RunRequest, feed: Feed) -> Market:
    """Lay all symbols on the union of their opens. Raises DataError where the feed does not fit the request."""
    if tuple(s.instrument.symbol for s in feed.symbols) != request.symbols:
        raise DataError("The feed does not hold the symbols of the request, in their order.")
    step_ms = merge_times([s.bars.open_ms for s in feed.symbols])
    # A copy, because kernels are compiled for arrays that may be written, and a feed's may not.
    step_ms = step_ms[: int(np.searchsorted(step_ms, request.to_ms))].astype(np.int64, order="C", copy=True)
    if not len(step_ms) or step_ms[-1] < request.from_ms:
        raise DataError("There is no bar in the span.")
    fine_length = timeframe_to_ms(request.intrabar_timeframe or request.timeframe)
    paths = [_path_bars(s, step_ms, request) for s in feed.symbols]
    fine_ms = merge_times([step_ms, *(path.open_ms for path in paths)])
    last = np.empty((len(paths), len(fine_ms)), BAR)  # a year of minutes is 20 MB: each pass over it counts
    fresh = [_lay(path, fine_ms, last[i]) for i, path in enumerate(paths)]
    mark = _mark_plane(feed, fine_ms, fine_length, last, fresh)
    first_fine = _first_fine(step_ms, fine_ms)
    is_funded = request.funding and request.market == TradingMarket.USDM
    events = [_funding_of(s, i, fine_ms, fine_length, mark[i]) for i, s in enumerate(feed.symbols) if is_funded]
    rows = np.concatenate(events) if events else np.empty(0, FUNDING_EVENT)
    in_order = np.lexsort((rows["i_symbol"], rows["time_ms"], rows["is_late"], rows["i_fine"]))
    return Market(step_ms, first_fine, fine_ms, last, mark, rows[in_order])


def _first_fine(step_ms: Times, fine_ms: Times) -> Times:
    if fine_ms is step_ms:
        return np.arange(len(step_ms) + 1, dtype=np.int64)
    return np.append(np.searchsorted(fine_ms, step_ms), len(fine_ms)).astype(np.int64)


def bar_columns(bars: Bars, step_ms: Times) -> tuple[dict[str, NDArray[np.float64]], Mask | None]:
    """One symbol's columns over the timeline, and where it has a bar: None when everywhere."""
    if len(bars) == len(step_ms) and np.array_equal(bars.open_ms, step_ms):
        return {name: np.ascontiguousarray(getattr(bars, name), np.float64) for name in COLUMNS}, None
    plane = np.empty(len(step_ms), BAR)
    fresh = _lay(bars, step_ms, plane)
    return {name: np.ascontiguousarray(plane[name]) for name in COLUMNS}, fresh


def _path_bars(symbol: SymbolFeed, step_ms: Times, request: RunRequest) -> Bars:
    """The finest bars of a symbol: the finer ones if asked for, and its own bar where a step has none of them."""
    bars, fine = symbol.bars, symbol.fine_bars
    in_span = slice(0, int(np.searchsorted(bars.open_ms, step_ms[-1], side="right")))
    if request.intrabar_timeframe is None:
        return _take(bars, in_span)
    if fine is None:
        why = f"There are no finer bars of {symbol.instrument.symbol} to resolve the path with."
        raise RequestError("intrabar_timeframe", "not_available", why)
    i_step = np.searchsorted(step_ms, fine.open_ms, side="right") - 1
    is_inside = (i_step >= 0) & (fine.open_ms < step_ms[i_step] + request.timeframe_ms)
    fine = _take(fine, is_inside)
    bars = _take(bars, in_span)
    bars = _take(bars, ~np.isin(np.searchsorted(step_ms, bars.open_ms), i_step[is_inside]))
    order = np.argsort(np.concatenate([fine.open_ms, bars.open_ms]), kind="stable")
    joined = [np.concatenate([getattr(fine, name), getattr(bars, name)])[order] for name in ("open_ms", *COLUMNS)]
    return Bars(*joined)


def _take(bars: Bars, which: slice | Mask) -> Bars:
    if isinstance(which, slice) and which == slice(0, len(bars)):
        return bars  # checked when it was made
    return Bars(*(getattr(bars, name)[which] for name in ("open_ms", *COLUMNS)))


def _lay(bars: Bars, times: Times, plane: Rows) -> Mask:
    """Write bars where the timeline has them, the last close elsewhere. Returns where the symbol has a bar."""
    if len(bars) == len(times) and np.array_equal(bars.open_ms, times):
        _write_rows(bars, plane)
        return np.ones(len(times), np.bool_)
    rows = np.searchsorted(times, bars.open_ms)
    is_held = (rows < len(times)) & (times[np.minimum(rows, len(times) - 1)] == bars.open_ms)
    fresh = np.zeros(len(times), np.bool_)
    fresh[rows[is_held]] = True
    plane["volume"] = 0.0
    for name in COLUMNS:
        plane[name][rows[is_held]] = getattr(bars, name)[is_held]
    _carry_close(plane, fresh)
    return fresh


def _write_rows(bars: Bars, plane: Rows) -> None:
    """Column by column, block by block: each block stays in the cache until it is whole."""
    for start in range(0, len(plane), BLOCK):
        block = plane[start : start + BLOCK]
        for name in COLUMNS:
            block[name] = getattr(bars, name)[start : start + BLOCK]


def _carry_close(plane: Rows, present: Mask) -> None:
    """Rows that are not present stand flat at the last close before them; NaN where there is none."""
    last = np.maximum.accumulate(np.where(present, np.arange(len(present)), -1))
    carried = np.where(last >= 0, plane["close"][np.maximum(last, 0)], np.nan)[~present]
    for name in PRICES:
        plane[name][~present] = carried


def _mark_plane(feed: Feed, fine_ms: Times, fine_length: int, last: Rows, fresh: list[Mask]) -> Rows:
    """Mark bars where they exist, else the trade bar, else flat at the last mark. `last` itself without any."""
    if all(symbol.mark_bars is None for symbol in feed.symbols):
        return last
    mark = last.copy()
    for i, symbol in enumerate(feed.symbols):
        bars = symbol.mark_bars
        if bars is None or not len(bars):
            continue
        if _length_of(bars) > fine_length:
            raise DataError(f"The mark bars of {symbol.instrument.symbol} are longer than the bars they go with.")
        rows = np.searchsorted(fine_ms, bars.open_ms, side="right") - 1
        is_inside = (rows >= 0) & (bars.open_ms < fine_ms[rows] + fine_length)
        rows, bars = rows[is_inside], _take(bars, is_inside)
        if not len(rows):
            continue
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        at = rows[starts]
        mark[i]["open"][at] = bars.open[starts]
        mark[i]["high"][at] = np.maximum.reduceat(bars.high, starts)
        mark[i]["low"][at] = np.minimum.reduceat(bars.low, starts)
        mark[i]["close"][at] = bars.close[np.append(starts[1:], len(rows)) - 1]
        present = fresh[i].copy()
        present[at] = True
        _carry_close(mark[i], present)
    return mark


def _length_of(bars: Bars) -> int:
    """The shortest distance between two bars; of a single bar nothing is known."""
    return int(np.diff(bars.open_ms).min()) if len(bars) > 1 else 0


def _funding_of(symbol: SymbolFeed, i_symbol: int, fine_ms: Times, fine_length: int, mark: Rows) -> Rows:
    """Where each stamp is charged, and at which mark.

    A stamp inside a bar is charged at that bar's open, after the orders; one in a gap before the next bar's orders.
    """
    times = (symbol.funding.time_ms + 500) // 1000 * 1000
    rows = np.searchsorted(fine_ms, times, side="right") - 1
    is_known = rows >= 0
    is_inside = is_known & (times < fine_ms[rows] + fine_length)
    events = np.zeros(len(times), FUNDING_EVENT)
    events["time_ms"] = times
    events["i_fine"] = np.where(is_inside, rows, rows + 1)
    events["is_late"] = is_inside & (times > fine_ms[rows])
    events["i_symbol"] = i_symbol
    events["rate"] = symbol.funding.rate
    events["mark_price"] = np.where(is_inside, mark["open"][rows], mark["close"][rows])
    if symbol.mark_bars is not None and len(symbol.mark_bars):
        bars = symbol.mark_bars
        i_mark = np.searchsorted(bars.open_ms, times, side="right") - 1
        is_held = (i_mark >= 0) & (times < bars.open_ms[i_mark] + max(_length_of(bars), 1))
        events["mark_price"][is_held] = bars.open[i_mark[is_held]]
    is_own = ~np.isnan(symbol.funding.mark_price)
    events["mark_price"][is_own] = symbol.funding.mark_price[is_own]
    return events[is_known & (events["i_fine"] < len(fine_ms)) & ~np.isnan(events["mark_price"])]
