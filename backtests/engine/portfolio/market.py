"""Feed -> the planes that the kernels walk: one timeline for all symbols, no holes."""

import numpy as np
from numpy.typing import NDArray

from backtests.engine.errors import DataError, RequestError
from backtests.engine.kernels.layout import FUNDING_EVENT
from backtests.engine.kernels.state import Market, Plane, Rows
from backtests.engine.request import Bars, Feed, RunRequest, SymbolFeed, TradingMarket, merge_times, timeframe_to_ms

PRICES = ("open", "high", "low", "close")
COLUMNS = (*PRICES, "volume")

type Times = NDArray[np.int64]
type Mask = NDArray[np.bool_]


def build_market(request: RunRequest, feed: Feed) -> Market:
    """Lay all symbols on the union of their opens. Raises DataError where the feed does not fit the request.

    One symbol with all its bars is not copied: its planes are the feed's own columns.
    """
    if tuple(s.instrument.symbol for s in feed.symbols) != request.symbols:
        raise DataError("The feed does not hold the symbols of the request, in their order.")
    step_ms = merge_times([s.bars.open_ms for s in feed.symbols])
    if (n_steps := int(np.searchsorted(step_ms, request.to_ms))) < len(step_ms):
        step_ms = step_ms[:n_steps]
    step_ms = np.ascontiguousarray(step_ms, np.int64)
    if not len(step_ms) or step_ms[-1] < request.from_ms:
        raise DataError("There is no bar in the span.")
    fine_length = timeframe_to_ms(request.intrabar_timeframe or request.timeframe)
    paths = [_path_bars(s, step_ms, request) for s in feed.symbols]
    fine_ms = merge_times([step_ms, *(path.open_ms for path in paths)])
    last, fresh = _last_plane(paths, fine_ms)
    mark = _mark_plane(feed, fine_ms, fine_length, last, fresh)
    first_fine = _first_fine(step_ms, fine_ms)
    is_funded = request.funding and request.market == TradingMarket.USDM
    events = [_funding_of(s, i, fine_ms, fine_length, mark) for i, s in enumerate(feed.symbols) if is_funded]
    rows = np.concatenate(events) if events else np.empty(0, FUNDING_EVENT)
    in_order = np.lexsort((rows["i_symbol"], rows["time_ms"], rows["is_late"], rows["i_fine"]))
    return Market(step_ms, first_fine, fine_ms, last, mark, rows[in_order], mark.close.view(np.int64))


def _first_fine(step_ms: Times, fine_ms: Times) -> Times:
    if fine_ms is step_ms:
        return np.arange(len(step_ms) + 1, dtype=np.int64)
    return np.append(np.searchsorted(fine_ms, step_ms), len(fine_ms)).astype(np.int64)


def bar_columns(bars: Bars, step_ms: Times) -> tuple[dict[str, NDArray[np.float64]], Mask | None]:
    """One symbol's columns over the timeline, and where it has a bar: None when everywhere."""
    plane, fresh = _last_plane([bars], step_ms)
    return {name: getattr(plane, name)[0] for name in COLUMNS}, fresh[0]


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


def _last_plane(paths: list[Bars], times: Times) -> tuple[Plane, list[Mask | None]]:
    """The symbols' bars on the timeline, and where each has one: None when everywhere."""
    if len(paths) == 1 and _fills(paths[0], times):
        columns = (np.ascontiguousarray(getattr(paths[0], name), np.float64) for name in COLUMNS)
        return Plane(*(column.reshape(1, -1) for column in columns)), [None]
    plane = Plane(*(np.empty((len(paths), len(times))) for _ in COLUMNS))
    return plane, [_lay(bars, times, Plane(*(column[i] for column in plane))) for i, bars in enumerate(paths)]


def _fills(bars: Bars, times: Times) -> bool:
    return bars.open_ms is times or (len(bars) == len(times) and np.array_equal(bars.open_ms, times))


def _lay(bars: Bars, times: Times, plane: Plane) -> Mask | None:
    """Write bars where the timeline has them, the last close elsewhere. Returns where the symbol has a bar."""
    if _fills(bars, times):
        for column, name in zip(plane, COLUMNS, strict=True):
            column[:] = getattr(bars, name)
        return None
    rows = np.searchsorted(times, bars.open_ms)
    is_held = (rows < len(times)) & (times[np.minimum(rows, len(times) - 1)] == bars.open_ms)
    fresh = np.zeros(len(times), np.bool_)
    fresh[rows[is_held]] = True
    plane.volume[:] = 0.0
    for column, name in zip(plane, COLUMNS, strict=True):
        column[rows[is_held]] = getattr(bars, name)[is_held]
    _carry_close(plane, fresh)
    return fresh


def _carry_close(plane: Plane, present: Mask) -> None:
    """Bars that are not present stand flat at the last close before them; NaN where there is none."""
    last = np.maximum.accumulate(np.where(present, np.arange(len(present)), -1))
    carried = np.where(last >= 0, plane.close[np.maximum(last, 0)], np.nan)[~present]
    for name in PRICES:
        getattr(plane, name)[~present] = carried


def _mark_plane(feed: Feed, fine_ms: Times, fine_length: int, last: Plane, fresh: list[Mask | None]) -> Plane:
    """Mark bars where they exist, else the trade bar, else flat at the last mark. `last` itself without any."""
    if all(symbol.mark_bars is None for symbol in feed.symbols):
        return last
    plane = Plane(*(column.copy() for column in last))
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
        mark = Plane(*(column[i] for column in plane))
        mark.open[at] = bars.open[starts]
        mark.high[at] = np.maximum.reduceat(bars.high, starts)
        mark.low[at] = np.minimum.reduceat(bars.low, starts)
        mark.close[at] = bars.close[np.append(starts[1:], len(rows)) - 1]
        held = fresh[i]
        if held is not None:
            present = held.copy()
            present[at] = True
            _carry_close(mark, present)
    return plane


def _length_of(bars: Bars) -> int:
    """The shortest distance between two bars; of a single bar nothing is known."""
    return int(np.diff(bars.open_ms).min()) if len(bars) > 1 else 0


def _funding_of(symbol: SymbolFeed, i_symbol: int, fine_ms: Times, fine_length: int, mark: Plane) -> Rows:
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
    events["mark_price"] = np.where(is_inside, mark.open[i_symbol][rows], mark.close[i_symbol][rows])
    if symbol.mark_bars is not None and len(symbol.mark_bars):
        bars = symbol.mark_bars
        i_mark = np.searchsorted(bars.open_ms, times, side="right") - 1
        is_held = (i_mark >= 0) & (times < bars.open_ms[i_mark] + max(_length_of(bars), 1))
        events["mark_price"][is_held] = bars.open[i_mark[is_held]]
    is_own = ~np.isnan(symbol.funding.mark_price)
    events["mark_price"][is_own] = symbol.funding.mark_price[is_own]
    return events[is_known & (events["i_fine"] < len(fine_ms)) & ~np.isnan(events["mark_price"])]
