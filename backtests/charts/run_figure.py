"""The figure of a run: panes that share one time axis.

Colours are not set here: every trace names its role in `meta`, and the page paints roles from its own tokens, so
that one answer serves both themes.
"""

from html import escape
from typing import Any, ClassVar

import numpy as np
import plotly.graph_objects as go

from backtests.charts.detail import Candles, ChartView, FloatArray, IntArray, merge_bars, say_detail, thin_points
from backtests.charts.marks import list_marks
from backtests.engine.request import Bars
from backtests.run_report import DrawnSeries, Rows, RunReport

CHART_VERSION = 2  # part of the address of a chart: raise it when the same run should give another figure
DENSITY_BINS = 120
MAX_NAME = 60


def _slice_bars(bars: Bars, first: int, end: int) -> Bars:
    span = slice(first, end)
    return Bars(
        bars.open_ms[span], bars.open[span], bars.high[span], bars.low[span], bars.close[span], bars.volume[span]
    )


def draw_run(report: RunReport, bars: Bars, view: ChartView) -> dict[str, Any]:
    """The figure of a run within the view, with words on its level of detail.

    `bars`: the primary symbol's bars of the span. Returns {figure, title, note, from_ms, to_ms}, fit for JSON; arrays
    are base64 typed arrays.
    """
    first, end = np.searchsorted(bars.open_ms, [view.from_ms, view.to_ms])
    candles = merge_bars(_slice_bars(bars, first, end), report.request.timeframe_ms, view.max_candles)
    panes = _Panes(report, view)
    panes.add_price(candles)
    note = panes.add_trades(candles)
    panes.add_drawn()
    panes.add_equity()
    return {
        "figure": _without_arrays(panes.figure().to_dict()),
        "title": say_detail(candles, int(end - first), report.request.timeframe),
        "note": note,
        "from_ms": view.from_ms,
        "to_ms": view.to_ms,
    }


def _moments(time_ms: IntArray) -> FloatArray:
    return time_ms.astype(np.float64)  # plotly.js knows no 64-bit integers; ms since 1970 fit a double exactly


class _Panes:
    """Stacks panes that share one time axis, from top to bottom, and collects their traces."""

    HEIGHTS: ClassVar = {"price": 340, "trades": 50, "equity": 190, "drawdown": 110}
    OTHER_HEIGHT = 110
    GAP = 26

    def __init__(self, report: RunReport, view: ChartView) -> None:
        self.report, self.view = report, view
        self.names: list[str] = []
        self.titles: dict[str, str] = {}
        self.traces: list[tuple[str, Any]] = []

    def add(self, pane: str, title: str, trace: Any) -> None:
        if pane not in self.names:
            self.names.append(pane)
            self.titles[pane] = title
        self.traces.append((pane, trace))

    def add_price(self, candles: Candles) -> None:
        symbol = self.report.request.symbol
        self.add(
            "price",
            symbol,
            go.Candlestick(
                x=_moments(candles.open_ms),
                open=candles.open,
                high=candles.high,
                low=candles.low,
                close=candles.close,
                name=symbol,
                meta={"role": "candles"},
                showlegend=False,
            ),
        )

    def add_trades(self, candles: Candles) -> str:
        """Markers while they can be told apart, else how many there are where; returns a sentence on it."""
        trades = self.report.tables["trades"]
        view = self.view
        ends = np.where(trades["exit_ms"] < 0, np.iinfo(np.int64).max, trades["exit_ms"])
        is_seen = (trades["entry_ms"] <= view.to_ms) & (ends >= view.from_ms)
        seen = trades[is_seen & (trades["i_symbol"] == 0)]
        n_others = int(np.count_nonzero(is_seen)) - len(seen)
        others = f" {n_others:,} of other symbols are in the Trades tab." if n_others else ""
        return self._mark(seen) + others

    def _mark(self, seen: Rows) -> str:
        view = self.view
        if not len(seen):
            return "No trade in view."
        if len(seen) > view.max_trades_marked:
            self._add_density(seen)
            return f"{len(seen):,} trades in view. Zoom in to {view.max_trades_marked} or fewer to see each of them."
        for role, label, symbol, x, y, text in list_marks(seen):
            inside = (x >= view.from_ms) & (x <= view.to_ms) & np.isfinite(y)
            if inside.any():
                self.add(
                    "price",
                    "",
                    go.Scatter(
                        x=_moments(x[inside]),
                        y=y[inside],
                        mode="markers",
                        name=label,
                        text=[line for line, is_in in zip(text, inside, strict=True) if is_in],
                        hovertemplate="%{text}<extra></extra>",
                        marker={"symbol": symbol, "size": 11, "line": {"width": 1.5}},
                        meta={"role": role},
                    ),
                )
        return f"{len(seen):,} trade{'s' if len(seen) != 1 else ''} in view."

    def _add_density(self, trades: Rows) -> None:
        edges = np.linspace(self.view.from_ms, self.view.to_ms, DENSITY_BINS + 1)
        counts, _ = np.histogram(trades["entry_ms"], edges)
        self.add(
            "trades",
            "Entries",
            go.Bar(
                x=(edges[:-1] + edges[1:]) / 2,
                y=counts.astype(np.float64),
                name="Entries",
                meta={"role": "muted"},
                showlegend=False,
            ),
        )

    def add_drawn(self) -> None:
        """Indicators over the candles or in a pane of their own; values from plot() alike."""
        table, points = self.report.tables["indicators"], self.report.tables["points"]
        for i, series in enumerate(self.report.drawn):
            x, y = _drawn_values(series, table, points)
            shown = np.isfinite(y) & (x >= self.view.from_ms) & (x <= self.view.to_ms)
            x, y = x[shown], y[shown]
            kept = thin_points(x, y)
            pane = "price" if series.pane == "price" else f"pane {series.pane}"
            name, title = _plain(series.name), _plain(series.pane)
            self.add(pane, title, _line(x[kept], y[kept], name, f"series{i % 6}", width=1.3))

    def add_equity(self) -> None:
        equity = self.report.tables["equity"]
        time_ms, values = np.ascontiguousarray(equity["time_ms"]), np.ascontiguousarray(equity["margin_balance"])
        peak = np.maximum(np.maximum.accumulate(values), self.report.initial_balance) if len(values) else values
        depth = values / peak - 1.0
        held = self.report.tables["benchmark"]
        seen = self._seen(time_ms)
        self.add("equity", "Equity", self._thin_line(time_ms[seen], values[seen], "Strategy", "equity", depth[seen]))
        seen_held = self._seen(held["time_ms"])
        self.add(
            "equity",
            "",
            self._thin_line(held["time_ms"][seen_held], held["equity"][seen_held], "Buy and hold", "benchmark"),
        )
        line = self._thin_line(time_ms[seen], depth[seen], "Drawdown", "drawdown", depth[seen])
        line.update(fill="tozeroy", showlegend=False, hovertemplate="%{y:.2%}")
        self.add("drawdown", "Drawdown", line)

    def _seen(self, time_ms: IntArray) -> slice:
        first = int(np.searchsorted(time_ms, self.view.from_ms, side="left"))
        return slice(first, int(np.searchsorted(time_ms, self.view.to_ms, side="right")))

    @staticmethod
    def _thin_line(x: IntArray, y: FloatArray, name: str, role: str, depth: FloatArray | None = None) -> Any:
        """A thinned line that keeps the deepest drawdown and the peak before it."""
        keep: list[int] = []
        if depth is not None and len(depth):
            bottom = int(np.argmin(depth))
            keep = [bottom, int(np.argmax(y[: bottom + 1]))]
        kept = thin_points(np.ascontiguousarray(x), np.ascontiguousarray(y), keep)
        return _line(x[kept], y[kept], name, role, hovertemplate="%{y:,.2f}")

    def figure(self) -> Any:
        order = sorted(self.names, key=lambda name: {"price": 0, "trades": 1, "equity": 3, "drawdown": 4}.get(name, 2))
        heights = [self.HEIGHTS.get(name, self.OTHER_HEIGHT) for name in order]
        total = sum(heights) + self.GAP * (len(order) - 1)
        figure = go.Figure()
        figure.update_layout(
            template=None,
            height=total + 96,
            margin={"l": 8, "r": 8, "t": 34, "b": 40},
            hovermode="x unified",
            hoversubplots="axis",
            dragmode="zoom",
            bargap=0.1,
            legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom"},
            xaxis={
                "type": "date",
                "anchor": f"y{len(order)}" if len(order) > 1 else "y",
                "rangeslider": {"visible": False},
                "range": [self.view.from_ms, self.view.to_ms],
                "hoverformat": "%Y-%m-%d %H:%M UTC",
            },
        )
        top = 1.0
        for i, (name, height) in enumerate(zip(order, heights, strict=True), start=1):
            bottom = max(0.0, top - height / total)
            figure.update_layout({"yaxis" if i == 1 else f"yaxis{i}": self._axis(name, bottom, top)})
            if i > 1:
                figure.add_annotation(
                    text=self.titles[name], x=0, xref="paper", xanchor="left", y=top, yref="paper",
                    yanchor="bottom", showarrow=False,
                )  # fmt: skip
            for pane, trace in self.traces:
                if pane == name:
                    trace.update(xaxis="x", yaxis="y" if i == 1 else f"y{i}")
                    figure.add_trace(trace)
            top = bottom - self.GAP / total
        return figure

    def _axis(self, name: str, bottom: float, top: float) -> dict[str, Any]:
        axis: dict[str, Any] = {"domain": [bottom, top], "side": "right", "automargin": True, "fixedrange": True}
        if name == "drawdown":
            axis |= {"tickformat": ".1%", "rangemode": "tozero", "nticks": 4}
        elif name == "trades":
            axis |= {"rangemode": "tozero", "nticks": 2, "tickformat": "d"}
        else:
            axis |= {
                "tickformat": ",.7~g" if name == "price" else ",.6~g",
                "nticks": 8 if name == "price" else 5 if name == "equity" else 3,
            }
        return axis


def _line(x: IntArray, y: FloatArray, name: str, role: str, width: float = 1.6, **more: Any) -> Any:
    line = {"width": width, **({"dash": "dot"} if role == "benchmark" else {})}
    return go.Scatter(x=_moments(x), y=np.asarray(y), mode="lines", name=name, line=line, meta={"role": role}, **more)


def _without_arrays(value: Any) -> Any:
    """Plotly packs arrays into base64, but leaves some (empty ones, for example) as they are."""
    if isinstance(value, dict):
        return {name: _without_arrays(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_arrays(part) for part in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def _plain(text: str) -> str:
    """Words of a strategy as text: plotly.js reads some tags in names and titles."""
    return escape(text[:MAX_NAME], quote=False)


def _drawn_values(series: DrawnSeries, table: Rows, points: Rows) -> tuple[IntArray, FloatArray]:
    if series.column:
        return np.ascontiguousarray(table["time_ms"]), np.ascontiguousarray(table[series.column])
    own = points[points["i_series"] == series.i_series]
    return np.ascontiguousarray(own["time_ms"]), np.ascontiguousarray(own["value"])
