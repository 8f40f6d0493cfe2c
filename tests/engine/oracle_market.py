"""What the oracle sees of the market: the timeline, quotes without holes, marks, funding stamps."""

from dataclasses import dataclass
from decimal import Decimal, getcontext
from itertools import pairwise

import numpy as np

from backtests.engine.request.timeframe import timeframe_to_ms

getcontext().prec = 40
ZERO, ONE = Decimal(0), Decimal(1)


def dec(number):
    return Decimal(repr(float(number)))


@dataclass
class Quote:
    """One symbol's prices in one finest bar. Missing bars stand flat at the last close, without volume."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    @property
    def is_traded(self):
        return self.volume > 0


def quote_of(bars, i):
    return Quote(*(dec(column[i]) for column in (bars.open, bars.high, bars.low, bars.close, bars.volume)))


class OracleMarket:
    """The data side of the oracle: needs `request` and `feed`."""

    def _lay_market(self):
        """`steps` are the bars of the timeline, `times` the finest bars in them."""
        symbols, request = self.feed.symbols, self.request
        self.step_ms = request.timeframe_ms
        self.fine_ms = timeframe_to_ms(request.intrabar_timeframe or request.timeframe)
        self.steps = sorted({int(t) for s in symbols for t in s.bars.open_ms if t < request.to_ms})
        rows = [self._rows_of(s) for s in symbols]
        self.times = sorted(set(self.steps).union(*rows))
        self.last = [self._without_holes(r) for r in rows]
        self.mark = [self._marks_of(s, r, last) for s, r, last in zip(symbols, rows, self.last, strict=True)]
        bounds = [*self.steps, float("inf")]
        self.fines = [[j for j, t in enumerate(self.times) if a <= t < b] for a, b in pairwise(bounds)]

    def _rows_of(self, symbol):
        """{open time: quote}: the finer bars where a step has any, else the step's own bar."""
        own = {int(t): quote_of(symbol.bars, i) for i, t in enumerate(symbol.bars.open_ms) if t < self.request.to_ms}
        if not self.request.intrabar_timeframe:
            return own
        rows = {}
        for i, t in enumerate(symbol.fine_bars.open_ms.tolist()):
            step = self._step_of(t)
            if step is not None:
                rows[t] = quote_of(symbol.fine_bars, i)
                own.pop(step, None)
        return {**rows, **own}

    def _step_of(self, time):
        return next((s for s in reversed(self.steps) if s <= time < s + self.step_ms), None)

    def _without_holes(self, rows):
        quotes, close = [], None
        for time in self.times:
            quote = rows.get(time)
            if quote is None and close is not None:
                quote = Quote(close, close, close, close, ZERO)
            quotes.append(quote)
            close = quote.close if quote else close
        return quotes

    def _row_of(self, time):
        """The finest bar that a moment lies in, or None."""
        held = [j for j, t in enumerate(self.times) if t <= time < t + self.fine_ms]
        return held[-1] if held else None

    def _marks_of(self, symbol, rows, last):
        if symbol.mark_bars is None:
            return last
        marks = dict(rows)
        seen = set()
        for i, t in enumerate(symbol.mark_bars.open_ms.tolist()):
            j = self._row_of(t)
            if j is None:
                continue
            quote, time = quote_of(symbol.mark_bars, i), self.times[j]
            if time in seen:  # several mark bars in one finest bar
                first = marks[time]
                quote = Quote(
                    first.open, max(first.high, quote.high), min(first.low, quote.low), quote.close, quote.volume
                )
            seen.add(time)
            marks[time] = quote
        return self._without_holes(marks)

    def _lay_stamps(self):
        """{(finest bar, whether after its orders): stamps in order of time and symbol}. In a gap: before the next."""
        stamps = {}
        for i, symbol in enumerate(self.feed.symbols):
            rows = zip(symbol.funding.time_ms, symbol.funding.rate, symbol.funding.mark_price, strict=True)
            for stamp, rate, own in rows:
                time = (int(stamp) + 500) // 1000 * 1000
                j = self._row_of(time)
                if j is not None:
                    key = (j, time > self.times[j])
                else:
                    key = (next((k for k, t in enumerate(self.times) if t > time), None), False)
                if key[0] is not None and (j is not None or key[0]):
                    stamps.setdefault(key, []).append((time, i, dec(rate), self._mark_at(i, time, own, *key)))
        return {key: sorted(due, key=lambda stamp: stamp[:2]) for key, due in stamps.items()}

    def _mark_at(self, i, time, own, j, is_late):
        """The event's own mark, else the open of the mark bar at the stamp, else of the trade bar, else the last."""
        if not np.isnan(own):
            return dec(own)
        bars = self.feed.symbols[i].mark_bars
        if bars is not None:
            length = int(np.diff(bars.open_ms).min())
            for k, t in enumerate(bars.open_ms.tolist()):
                if t <= time < t + length:
                    return dec(bars.open[k])
        is_inside = self.times[j] <= time
        quote = self.mark[i][j if is_inside else j - 1]
        return None if quote is None else quote.open if is_inside else quote.close
