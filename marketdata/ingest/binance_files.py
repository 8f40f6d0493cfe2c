"""Wire file -> candles. The only place that knows the exchange's kline rows and its spelling of columns.

Twelve columns: open_time, open, high, low, close, volume, close_time, quote_volume, count, taker_buy_volume,
taker_buy_quote_volume, ignore; a header is there or not, times are ms or (spot, from 2025) microseconds. A CSV with a
header may name other columns, in any order, with ISO times. A count of 0 beside a volume above 0 means "not known".
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from marketdata.arrays import UNKNOWN_COUNT, CandleArrays, FloatArray, FundingArrays, IntArray
from marketdata.ingest.csv_text import ArrowColumn, CsvText, open_csv, read_columns, to_floats
from marketdata.ingest.errors import IngestError
from marketdata.ingest.file_names import FileFacts
from marketdata.ingest.packing import SourceFile
from marketdata.ingest.stamps import check_period, refuse_rows, time_type, to_ms
from marketdata.timeframes import DAY_MS, TIMEFRAME_MS

KLINE_COLUMNS = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
FUNDING_COLUMNS = ("calc_time", "funding_interval_hours", "last_funding_rate")
PRICES = ("open", "high", "low", "close")

_ALIASES = {
    "open_time": ("opentime", "time", "timestamp", "date", "datetime", "ts", "unix", "openms", "timems"),
    "open": ("o",),
    "high": ("h",),
    "low": ("l",),
    "close": ("c",),
    "volume": ("v", "vol", "basevolume"),
    "quote_volume": ("quotevolume", "quoteassetvolume"),
    "count": ("ntrades", "trades", "numberoftrades", "tradecount"),
    "taker_buy_volume": ("takerbuyvolume", "takerbuybasevolume", "takerbuybaseassetvolume"),
    "calc_time": ("calctime", "fundingtime", "timems", "time", "timestamp"),
    "funding_interval_hours": ("fundingintervalhours", "intervalhours"),
    "last_funding_rate": ("lastfundingrate", "fundingrate", "rate"),
    "mark_price": ("markprice",),
    "symbol": ("pair", "ticker"),
}
_JITTER_MS = 60_000  # funding stamps may miss their minute
_MAX_RATE = 1.0
_MAX_COUNT = 2.0**53
_CONTRACT_SUFFIXES = ("", "PERP", "SWAP", "P")  # as others write the symbol of a perpetual


def parse_candles(source: SourceFile, facts: FileFacts) -> CandleArrays:
    """The rows of a candle file in the file's own order, times in ms.

    Raises IngestError that names file and line: see `open_csv`, `read_columns`, `to_ms`; and wrong_columns, no_column,
    outside_period, other_symbol, bad_count.
    """
    rows = open_csv(source.name, source.text)
    names = _name_columns(rows, KLINE_COLUMNS, ("open_time", *PRICES, "volume"), facts.symbol)
    types: dict[str, pa.DataType] = {name: pa.float64() for name in (*PRICES, "volume")}
    types["open_time"] = time_type(rows, names.index("open_time"))
    types |= {name: pa.float64() for name in ("quote_volume", "count", "taker_buy_volume") if name in names}
    types |= {name: pa.string() for name in ("symbol",) if name in names}
    columns = read_columns(rows, names, types)
    open_ms = to_ms(rows, columns["open_time"])
    # A candle longer than a day begins before the month in which the exchange publishes it.
    length_ms = TIMEFRAME_MS[facts.timeframe]
    _check_facts(rows, open_ms, columns.get("symbol"), facts, length_ms - 1 if length_ms > DAY_MS else 0)
    volume = to_floats(columns["volume"])
    unknown = np.full(len(open_ms), np.nan)
    count, quote_volume, taker_buy_volume = (
        to_floats(columns[name]) if name in columns else unknown
        for name in ("count", "quote_volume", "taker_buy_volume")
    )
    if facts.kind == "mark":
        count = unknown
    has_volume = volume > 0
    n_trades = _to_counts(rows, count, has_volume)
    return CandleArrays(
        open_ms=open_ms,
        open=to_floats(columns["open"]),
        high=to_floats(columns["high"]),
        low=to_floats(columns["low"]),
        close=to_floats(columns["close"]),
        volume=volume,
        quote_volume=np.where(has_volume & (quote_volume == 0), np.nan, quote_volume),
        n_trades=n_trades,
        taker_buy_volume=np.where((n_trades == UNKNOWN_COUNT) & (taker_buy_volume == 0), np.nan, taker_buy_volume),
    )


def parse_funding(source: SourceFile, facts: FileFacts) -> FundingArrays:
    """The events of a funding file, stamps as published. Raises IngestError like `parse_candles`, and bad_rate,
    bad_interval."""
    rows = open_csv(source.name, source.text)
    names = _name_columns(rows, FUNDING_COLUMNS, ("calc_time", "last_funding_rate"), facts.symbol)
    types: dict[str, pa.DataType] = {"last_funding_rate": pa.float64()}
    types["calc_time"] = time_type(rows, names.index("calc_time"))
    types |= {name: pa.float64() for name in ("funding_interval_hours", "mark_price") if name in names}
    types |= {name: pa.string() for name in ("symbol",) if name in names}
    columns = read_columns(rows, names, types)
    time_ms = to_ms(rows, columns["calc_time"])
    _check_facts(rows, time_ms, columns.get("symbol"), facts, _JITTER_MS)
    rate = to_floats(columns["last_funding_rate"])
    hours = (
        to_floats(columns["funding_interval_hours"]) if "funding_interval_hours" in columns else np.full(len(rate), 8.0)
    )
    mark_price = to_floats(columns["mark_price"]) if "mark_price" in columns else np.full(len(rate), np.nan)
    refuse_rows(rows, ~(np.abs(rate) < _MAX_RATE), "bad_rate", "a funding rate that is no small ratio. Correct it")
    is_odd = ~((hours > 0) & (hours <= 24))
    refuse_rows(rows, is_odd, "bad_interval", "a funding interval that is not 1 to 24 hours. Correct it")
    return FundingArrays(time_ms, rate, hours, mark_price)


def _to_counts(rows: CsvText, count: FloatArray, has_volume: NDArray[np.bool_]) -> IntArray:
    """Numbers of trades; UNKNOWN_COUNT where there is none, or 0 beside a volume."""
    is_unknown = np.isnan(count) | (has_volume & (count == 0))
    known = np.where(is_unknown, 0.0, count)
    is_bad = ~((known >= 0) & (known < _MAX_COUNT) & (known == np.floor(known)))
    refuse_rows(rows, is_bad, "bad_count", "a number of trades that is no whole number. Correct it, or drop the column")
    return np.where(is_unknown, UNKNOWN_COUNT, known).astype(np.int64)


def _check_facts(rows: CsvText, stamps: IntArray, symbols: ArrowColumn | None, facts: FileFacts, slack_ms: int) -> None:
    """What the path says must be what the rows say."""
    if facts.has_period:
        check_period(rows, stamps, facts.from_ms - slack_ms, facts.to_ms + (slack_ms if facts.kind == "funding" else 0))
    if symbols is None:
        return
    for written in map(str, pc.unique(symbols).to_pylist()[:100]):
        plain = re.sub(r"[^A-Z0-9_]", "", written.upper().partition(":")[0])
        if plain not in {facts.symbol + suffix for suffix in _CONTRACT_SUFFIXES}:
            is_other = np.asarray(pc.equal(symbols, pa.scalar(written)))
            text = f"the row is of {written[:40]!r}, not of {facts.symbol}. Give the file to its own symbol"
            refuse_rows(rows, is_other, "other_symbol", text)


def _name_columns(rows: CsvText, wire: tuple[str, ...], required: tuple[str, ...], symbol: str) -> list[str]:
    """Our name of each column of the file. Columns that mean nothing here are called column_1, column_2, ..."""
    if not rows.header:
        if rows.n_columns != len(wire):
            text = f"{rows.name} has {rows.n_columns} columns and no header; the exchange's files have {len(wire)}."
            raise IngestError("wrong_columns", f"{text} Give the file a header line that names its columns.")
        return list(wire)
    known = (*wire, "mark_price", "symbol")
    meaning = {alias: name for name in known for alias in (_plain(name), *_ALIASES.get(name, ()))}
    names = [meaning.get(title, "") or _name_volume(title, symbol) for title in map(_plain, rows.header)]
    for name in required:
        if name not in names:
            text = f"{rows.name}: the header {', '.join(rows.header)[:120]!r} has no column for {name}."
            raise IngestError("no_column", f"{text} Name it so.")
    # The first column of a meaning counts: a file may carry both `timestamp` and `date`.
    return [name if name and name not in names[:i] else f"column_{i + 1}" for i, name in enumerate(names)]


def _name_volume(title: str, symbol: str) -> str:
    """What `Volume BTC` and `Volume USDT` mean in a file of BTCUSDT."""
    asset = title.removeprefix("volume")
    if not asset or asset == title:
        return ""
    return "volume" if symbol.lower().startswith(asset) else "quote_volume" if symbol.lower().endswith(asset) else ""


def _plain(title: str) -> str:
    return re.sub(r"[^a-z0-9]", "", title.lower())
