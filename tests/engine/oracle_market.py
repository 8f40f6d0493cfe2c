"""What the oracle sees of the market: quotes without holes, marks, funding stamps, the way through a bar."""

from dataclasses import dataclass
from decimal import Decimal, getcontext

getcontext().prec = 40
ZERO, ONE = Decimal(0), Decimal(1)


def dec(number):
    return Decimal(repr(float(number)))


@dataclass
class Quote:
    """One symbol's prices at one step of the timeline. Missing bars stand flat at the last close."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    is_traded: bool


class OracleMarket:
    """The data side of the oracle: needs `request`, `feed` and `times`."""

    def _quotes(self, bars):
        rows = {
            int(t): Quote(*(dec(c[i]) for c in (bars.open, bars.high, bars.low, bars.close)), bars.volume[i] > 0)
            for i, t in enumerate(bars.open_ms)
        }
        return self._without_holes(rows)

    def _without_holes(self, rows):
        quotes, close = [], None
        for time in self.times:
            quote = rows.get(time)
            if quote is None and close is not None:
                quote = Quote(close, close, close, close, False)
            quotes.append(quote)
            close = quote.close if quote else close
        return quotes

    def _marks(self, symbol, last):
        if symbol.mark_bars is None:
            return last
        bars = symbol.mark_bars
        held = set(symbol.bars.open_ms.tolist())
        rows = {t: quote for t, quote in zip(self.times, last, strict=True) if t in held}
        for i, t in enumerate(bars.open_ms):
            rows[int(t)] = Quote(*(dec(c[i]) for c in (bars.open, bars.high, bars.low, bars.close)), True)
        return self._without_holes(rows)

    def _stamps(self):
        """{(step, whether after its orders): stamps in order of time and symbol}"""
        stamps = {}
        for i, symbol in enumerate(self.feed.symbols):
            rows = zip(symbol.funding.time_ms, symbol.funding.rate, symbol.funding.mark_price, strict=True)
            for stamp, rate, own in rows:
                time = round(int(stamp) / 1000) * 1000
                stamps.setdefault(self._step_of(time), []).append((time, i, dec(rate), own))
        return {key: sorted(due, key=lambda stamp: stamp[:2]) for key, due in stamps.items()}

    def _step_of(self, time):
        """The step that a stamp is charged in, and whether after its orders. In a gap: before those of the next."""
        for step, start in enumerate(self.times):
            if start <= time < start + self.request.timeframe_ms:
                return step, time > start
            if start > time:
                return (step, False) if step else (None, False)
        return None, False


def first_touch(way, level, direction):
    """When a price that goes linearly from knot to knot first reaches the level going up (+1) or down (-1)."""
    if (way[0] - level) * direction >= 0:
        return ZERO
    for k in range(3):
        if (way[k + 1] - level) * direction >= 0:
            return k + (level - way[k]) / (way[k + 1] - way[k])
    return None
