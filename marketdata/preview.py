"""The figure of a series: candles with volume, or funding rates, as many of them as a screen can show.

Read file by file, so that ten years of minutes need no more memory than a month. Colours are not set here: every trace
names its role in `meta`, and the page paints roles from its own tokens.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketdata.choosing import find_refs
from marketdata.home import candle_store
from marketdata.models import Series, SeriesKind
from marketdata.timeframes import DAY_MS, HOUR_MS, MINUTE_MS, TIMEFRAME_MS

PREVIEW_VERSION = 1  # part of a chart's address: raise it when the same rows should give another figure
MAX_CANDLES = 1_200
PX_PER_CANDLE = 3
COLUMNS = ("open_ms", "open", "high", "low", "close", "volume")

_NICE_MS = (
    *(n * MINUTE_MS for n in (1, 3, 5, 15, 30)),
    *(n * HOUR_MS for n in (1, 2, 4, 6, 8, 12)),
    *(n * DAY_MS for n in (1, 2, 3, 7, 14, 28)),
)

type Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class View:
    """What is asked for: a half-open span in UTC ms and the width of the plot in CSS pixels."""

    from_ms: int
    to_ms: int
    px: int = 1_200

    @property
    def max_candles(self) -> int:
        return max(60, min(MAX_CANDLES, self.px // PX_PER_CANDLE))


def draw_series(series: Series, view: View) -> dict[str, Any]:
    """{figure, title, note, from_ms, to_ms}, fit for JSON. Raises StoreError for a file that cannot be read."""
    is_funding = series.kind == SeriesKind.FUNDING
    figure, title = (_draw_funding if is_funding else _draw_candles)(series, view)
    return {"figure": figure, "title": title, "note": "", "from_ms": view.from_ms, "to_ms": view.to_ms}


def _draw_candles(series: Series, view: View) -> tuple[dict[str, Any], str]:
    length_ms = TIMEFRAME_MS[series.timeframe]
    bucket_ms = _choose_bucket(view, length_ms)
    n_rows, merged = _merge_files(series, view, bucket_ms)
    x = _plain(merged["open_ms"])
    candles = {name: _plain(merged[name]) for name in ("open", "high", "low", "close")}
    traces: list[dict[str, Any]] = [
        {"type": "candlestick", "x": x, **candles, "name": series.instrument.symbol, "meta": {"role": "candles"}}
        | {"showlegend": False, "xaxis": "x", "yaxis": "y"}
    ]
    has_volume = series.kind == SeriesKind.TRADE
    if has_volume:
        volume = {"type": "bar", "x": x, "y": _plain(merged["volume"]), "name": "Volume", "meta": {"role": "muted"}}
        traces.append({**volume, "showlegend": False, "xaxis": "x", "yaxis": "y2"})
    title = f"{n_rows:,} candles of {series.timeframe}"
    title += ", each one drawn" if len(x) == n_rows else f", drawn as {len(x):,} of {_say_length(bucket_ms)}"
    return {"data": traces, "layout": _layout(view, has_second="Volume" if has_volume else "")}, title


def _draw_funding(series: Series, view: View) -> tuple[dict[str, Any], str]:
    events = candle_store().read_funding(find_refs(series, view.from_ms, view.to_ms), view.from_ms, view.to_ms)
    step = -(-len(events) // MAX_CANDLES) or 1
    x, y = events.time_ms, events.rate
    if step > 1:  # the largest of its stretch, by size: a mean would hide the payments that hurt
        starts = np.arange(0, len(events), step)
        at = [int(start + np.argmax(np.abs(y[start : start + step]))) for start in starts]
        x, y = x[at], y[at]
    trace = {"type": "bar", "x": _plain(x), "y": _plain(y), "name": "Funding rate", "meta": {"role": "muted"}}
    layout = _layout(view, has_second="")
    layout["yaxis"]["tickformat"] = ".3%"
    title = f"{len(events):,} events" + (", each one drawn" if step == 1 else f", the largest of every {step}")
    return {"data": [{**trace, "showlegend": False}], "layout": layout}, title


def _choose_bucket(view: View, length_ms: int) -> int:
    """The shortest round length of which the view holds no more candles than can be told apart."""
    wanted_ms = max(view.to_ms - view.from_ms, 1) / view.max_candles
    if length_ms >= wanted_ms:
        return length_ms
    for nice_ms in _NICE_MS:
        if nice_ms >= wanted_ms and nice_ms % length_ms == 0:
            return nice_ms
    return -(-int(wanted_ms) // DAY_MS) * DAY_MS


def _merge_files(series: Series, view: View, bucket_ms: int) -> tuple[int, Columns]:
    """How many rows the view holds, and the rows of each bucket as one."""
    store, parts, n_rows = candle_store(), [], 0
    is_merged = bucket_ms > TIMEFRAME_MS[series.timeframe]
    for ref in find_refs(series, view.from_ms, view.to_ms):
        columns = store.read_columns(COLUMNS, [ref], view.from_ms, view.to_ms)
        n_rows += len(columns["open_ms"])
        parts.append(_merge(columns, bucket_ms) if is_merged else columns)
    if not parts:
        return 0, {name: np.empty(0) for name in COLUMNS}
    joined = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}
    return n_rows, _merge(joined, bucket_ms) if is_merged else joined  # a bucket may reach over two files


def _merge(rows: Columns, bucket_ms: int) -> Columns:
    """First open, highest high, lowest low, last close, all volume of each bucket of the UTC grid."""
    if not len(rows["open_ms"]):
        return rows
    bucket = rows["open_ms"] // bucket_ms
    starts = np.flatnonzero(np.concatenate(([True], bucket[1:] != bucket[:-1])))
    ends = np.append(starts[1:], len(bucket)) - 1
    return {
        "open_ms": rows["open_ms"][starts],
        "open": rows["open"][starts],
        "high": np.maximum.reduceat(rows["high"], starts),
        "low": np.minimum.reduceat(rows["low"], starts),
        "close": rows["close"][ends],
        "volume": np.add.reduceat(rows["volume"], starts),
    }


def _layout(view: View, *, has_second: str) -> dict[str, Any]:
    side = {"side": "right", "automargin": True, "fixedrange": True}
    layout: dict[str, Any] = {
        "height": 420,
        "margin": {"l": 8, "r": 8, "t": 20, "b": 40},
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "dragmode": "zoom",
        "bargap": 0.1,
        "xaxis": {
            "type": "date",
            "anchor": "y2" if has_second else "y",
            "rangeslider": {"visible": False},
            "range": [view.from_ms, view.to_ms],
            "hoverformat": "%Y-%m-%d %H:%M UTC",
        },
        "yaxis": {**side, "domain": [0.26 if has_second else 0, 1], "tickformat": ",.7~g", "nticks": 8},
    }
    if has_second:
        layout["yaxis2"] = {**side, "domain": [0, 0.2], "tickformat": ".3~s", "nticks": 3}
    return layout


def _plain(column: NDArray[Any]) -> list[float | None]:
    """Numbers as JSON has them; plotly.js leaves holes at nulls."""
    return [None if value != value else value for value in column.tolist()]


def _say_length(ms: int) -> str:
    for unit_ms, unit in ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "min")):
        if ms % unit_ms == 0:
            return f"{ms // unit_ms} {unit}"
    return f"{ms / 1000:g} s"
