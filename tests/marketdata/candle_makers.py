"""Candles and files that the market data tests make for themselves."""

import io
import zipfile
from pathlib import Path

import numpy as np

from marketdata.arrays import CandleArrays, FundingArrays
from marketdata.timeframes import TIMEFRAME_MS

JANUARY_MS = 1_735_689_600_000  # 2025-01-01
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)


def make_candles(n=24, timeframe="1h", first_ms=JANUARY_MS, price=100.0) -> CandleArrays:
    """Candles one after the other, each a little different."""
    step = np.arange(n)
    open_ = price + step % 7
    close = price + (step + 1) % 7
    return CandleArrays(
        open_ms=first_ms + TIMEFRAME_MS[timeframe] * step.astype(np.int64),
        open=open_,
        high=np.maximum(open_, close) + 0.5,
        low=np.minimum(open_, close) - 0.5,
        close=close,
        volume=1.0 + step % 5,
        quote_volume=100.0 + step,
        n_trades=10 + step.astype(np.int64),
        taker_buy_volume=0.5 + step % 5,
    )


def make_funding(n=9, first_ms=JANUARY_MS) -> FundingArrays:
    step = np.arange(n, dtype=np.int64)
    return FundingArrays(
        time_ms=first_ms + 8 * 3_600_000 * step + step % 3,
        rate=0.0001 * (1 + step),
        interval_hours=np.full(n, 8.0),
        mark_price=np.full(n, np.nan),
    )


def to_csv(candles: CandleArrays, *, header=True, unit=1) -> str:
    """The exchange's twelve columns; `unit` 1000 writes microseconds."""
    length = int(candles.open_ms[1] - candles.open_ms[0]) if len(candles) > 1 else 60_000
    lines = [HEADER] if header else []
    for i in range(len(candles)):
        time = int(candles.open_ms[i])
        prices = ",".join(
            repr(float(column[i]))
            for column in (candles.open, candles.high, candles.low, candles.close, candles.volume)
        )
        rest = f"{candles.quote_volume[i]},{candles.n_trades[i]},{candles.taker_buy_volume[i]},0,0"
        lines.append(f"{time * unit},{prices},{(time + length) * unit - 1},{rest}")
    return "\n".join(lines) + "\n"


def to_zip(text: str, member: str, extra=()) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, text)
        for name, content in extra:
            archive.writestr(name, content)
    return buffer.getvalue()


def write_daily(folder: Path, day: str, candles: CandleArrays, *, symbol="BTCUSDT", timeframe="1h") -> Path:
    """A daily CSV in the plain folder layout: futures/SYMBOL/TIMEFRAME/."""
    path = folder / "futures" / symbol / timeframe / f"{symbol}-{timeframe}-{day}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_csv(candles))
    return path
