"""Wire file -> candles. The only place that knows the exchange's kline rows and its spelling of columns.

Twelve columns: open_time, open, high, low, close, volume, close_time, quote_volume, count, taker_buy_volume,
taker_buy_quote_volume, ignore; a header is there or not, times are ms or (spot, from 2025) microseconds. A CSV with a
header may name other columns, in any order, with ISO times. A count of 0 beside a volume above 0 means "not known".
"""

import datetime as dt
import re

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from marketdata.arrays import UNKNOWN_COUNT, CandleArrays, FundingArrays, IntArray
from marketdata.ingest.csv_text import ArrowColumn, CsvText, open_csv, read_columns, to_floats, to_ints
from marketdata.ingest.errors import IngestError
from marketdata.ingest.file_names import FileFacts
from marketdata.ingest.packing import SourceFile

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
}
_SECONDS_BELOW = 10**11  # as ms this would be 1973, as seconds the year 5138
_MICROSECONDS_FROM = 10**14
_JITTER_MS = 60_000  # funding stamps may miss their minute
_MAX_RATE = 1.0


def parse_candles(source: SourceFile, facts: FileFacts) -> CandleArrays:
    """The rows of a candle file in the file's own order, times in ms.

    Raises IngestError that names file and line: empty, not_text, wrong_columns, no_column, not_a_number, bad_time,
    mixed_units, outside_period.
    """
    rows = open_csv(source.name, source.text)
    names = _name_columns(rows, KLINE_COLUMNS, ("open_time", *PRICES, "volume"))
    types: dict[str, pa.DataType] = {name: pa.float64() for name in (*PRICES, "volume")}
    types["open_time"] = _time_type(rows, names.index("open_time"))
    types |= {name: pa.float64() for name in ("quote_volume", "count", "taker_buy_volume") if name in names}
    columns = read_columns(rows, names, types)
    open_ms = _to_ms(rows, columns["open_time"])
    _check_period(rows, open_ms, facts, slack_ms=0)
    volume = to_floats(columns["volume"])
    unknown = np.full(len(open_ms), np.nan)
    count = to_floats(columns["count"]) if "count" in columns else unknown
    quote_volume = to_floats(columns["quote_volume"]) if "quote_volume" in columns else unknown
    taker_buy_volume = to_floats(columns["taker_buy_volume"]) if "taker_buy_volume" in columns else unknown
    if facts.kind == "mark":
        count = unknown
    has_volume = volume > 0
    is_unknown = ~np.isfinite(count) | (has_volume & (count == 0))
    return CandleArrays(
        open_ms=open_ms,
        open=to_floats(columns["open"]),
        high=to_floats(columns["high"]),
        low=to_floats(columns["low"]),
        close=to_floats(columns["close"]),
        volume=volume,
        quote_volume=np.where(has_volume & (quote_volume == 0), np.nan, quote_volume),
        n_trades=np.where(is_unknown, UNKNOWN_COUNT, np.where(is_unknown, 0, count)).astype(np.int64),
        taker_buy_volume=np.where(is_unknown & (taker_buy_volume == 0), np.nan, taker_buy_volume),
    )


def parse_funding(source: SourceFile, facts: FileFacts) -> FundingArrays:
    """The events of a funding file, stamps as published. Raises IngestError like `parse_candles`."""
    rows = open_csv(source.name, source.text)
    names = _name_columns(rows, FUNDING_COLUMNS, ("calc_time", "last_funding_rate"))
    types: dict[str, pa.DataType] = {"last_funding_rate": pa.float64()}
    types["calc_time"] = _time_type(rows, names.index("calc_time"))
    types |= {name: pa.float64() for name in ("funding_interval_hours", "mark_price") if name in names}
    columns = read_columns(rows, names, types)
    time_ms = _to_ms(rows, columns["calc_time"])
    _check_period(rows, time_ms, facts, slack_ms=_JITTER_MS)
    rate = to_floats(columns["last_funding_rate"])
    hours = (
        to_floats(columns["funding_interval_hours"]) if "funding_interval_hours" in columns else np.full(len(rate), 8.0)
    )
    mark_price = to_floats(columns["mark_price"]) if "mark_price" in columns else np.full(len(rate), np.nan)
    _refuse(rows, ~(np.abs(rate) < _MAX_RATE), "bad_rate", "a funding rate that is no small ratio")
    _refuse(rows, ~((hours > 0) & (hours <= 24)), "bad_interval", "a funding interval that is not 1 to 24 hours")
    return FundingArrays(time_ms, rate, hours, mark_price)


def _name_columns(rows: CsvText, wire: tuple[str, ...], required: tuple[str, ...]) -> list[str]:
    """Our name of each column of the file. Columns that mean nothing here are called column_1, column_2, ..."""
    if not rows.header:
        if rows.n_columns != len(wire):
            text = f"{rows.name} has {rows.n_columns} columns and no header; the exchange's files have {len(wire)}."
            raise IngestError("wrong_columns", f"{text} Give the file a header line that names its columns.")
        return list(wire)
    meaning = {alias: name for name in (*wire, "mark_price") for alias in (_plain(name), *_ALIASES.get(name, ()))}
    names = [meaning.get(_plain(title), "") for title in rows.header]
    for name in required:
        if name not in names:
            text = f"{rows.name}: the header {', '.join(rows.header)[:120]!r} has no column for {name}."
            raise IngestError("no_column", text)
    # The first column of a meaning counts: a file may carry both `timestamp` and `date`.
    return [name if name and name not in names[:i] else f"column_{i + 1}" for i, name in enumerate(names)]


def _plain(title: str) -> str:
    return re.sub(r"[^a-z0-9]", "", title.lower())


def _time_type(rows: CsvText, i_column: int) -> pa.DataType:
    field = rows.first_row[i_column].strip() if i_column < len(rows.first_row) else ""
    if re.fullmatch(r"[0-9]+", field):
        return pa.int64()
    return pa.string() if re.match(r"[0-9]{4}-[0-9]{2}", field) else pa.float64()


def _to_ms(rows: CsvText, column: ArrowColumn) -> IntArray:
    """Seconds, ms and microseconds are told apart by magnitude, row by row: one file may span a change of unit."""
    if pa.types.is_string(column.type):
        return _parse_iso(rows, column)
    if pa.types.is_floating(column.type):
        numbers = to_floats(column)
        _refuse(
            rows, ~(np.isfinite(numbers) & (numbers == np.floor(numbers)) & (numbers < 2.0**63)), "bad_time", "no time"
        )
        stamps = numbers.astype(np.int64)
    else:
        stamps = to_ints(column)
    _refuse(rows, stamps <= 0, "bad_time", "no time")
    is_seconds = stamps < _SECONDS_BELOW
    if bool(np.any(is_seconds)):
        _refuse(rows, is_seconds != is_seconds[0], "mixed_units", "a time in another unit than the rows before it")
        stamps = stamps * 1000
    is_micro = stamps >= _MICROSECONDS_FROM
    _refuse(rows, is_micro & (stamps % 1000 != 0), "bad_time", "a time between two milliseconds")
    return np.where(is_micro, stamps // 1000, stamps)


def _parse_iso(rows: CsvText, column: ArrowColumn) -> IntArray:
    for kind in (pa.timestamp("ms"), pa.timestamp("ms", tz="UTC")):
        try:
            return to_ints(column.cast(kind).cast(pa.int64()))
        except pa.ArrowException:
            continue
    for i_row, field in enumerate(column.to_pylist()):
        text = str(field)
        try:
            dt.datetime.fromisoformat(text)
        except ValueError:
            where = f"{rows.name}, line {rows.line_of(i_row)}"
            raise IngestError(
                "bad_time", f"{where}: {text[:40]!r} is not an ISO time such as 2025-01-31 08:00:00."
            ) from None
    raise IngestError("mixed_units", f"{rows.name}: some times name a zone and some do not. Write all of them in UTC.")


def _check_period(rows: CsvText, stamps: IntArray, facts: FileFacts, *, slack_ms: int) -> None:
    if not facts.has_period:
        return
    is_outside = (stamps < facts.from_ms - slack_ms) | (stamps >= facts.to_ms + slack_ms)
    if bool(np.any(is_outside)):
        i_row = int(np.argmax(is_outside))
        moment = dt.datetime.fromtimestamp(min(int(stamps[i_row]), 253_402_300_799_000) / 1000, dt.UTC)
        where = f"{rows.name}, line {rows.line_of(i_row)}"
        text = f"{where}: {moment:%Y-%m-%d %H:%M} (UTC) lies outside the period that the name says."
        raise IngestError("outside_period", text)


def _refuse(rows: CsvText, is_bad: NDArray[np.bool_], code: str, what: str) -> None:
    if bool(np.any(is_bad)):
        raise IngestError(code, f"{rows.name}, line {rows.line_of(int(np.argmax(is_bad)))}: {what}.")
