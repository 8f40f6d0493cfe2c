"""The time column of a CSV as UTC ms: seconds, ms, microseconds or nanoseconds since 1970, or ISO text."""

import datetime as dt
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from marketdata.arrays import IntArray
from marketdata.ingest.csv_text import ArrowColumn, CsvText, to_floats, to_ints
from marketdata.ingest.errors import IngestError

EARLIEST_MS = 946_684_800_000  # 2000-01-01; a time outside of these is a mistaken unit
LATEST_MS = 4_102_444_800_000  # 2100-01-01
_SECONDS_BELOW = 10**11  # as ms this would be 1973, as seconds the year 5138
_MICROSECONDS_FROM = 10**14
_NANOSECONDS_FROM = 10**17
_ISO_KINDS = (pa.timestamp("us"), pa.timestamp("us", tz="UTC"), pa.timestamp("ns"))


def time_type(rows: CsvText, i_column: int) -> pa.DataType:
    """As what to read the time column, by the first row."""
    field = rows.first_row[i_column].strip() if i_column < len(rows.first_row) else ""
    if re.fullmatch(r"[0-9]+", field):
        return pa.int64()
    return pa.string() if re.match(r"[0-9]{4}-[0-9]{2}", field) else pa.float64()


def to_ms(rows: CsvText, column: ArrowColumn) -> IntArray:
    """Units are told apart by magnitude, row by row: one file may span the exchange's change from ms to microseconds.

    Raises IngestError with the line: bad_time, mixed_units, mixed_zones.
    """
    stamps = _parse_iso(rows, column) if pa.types.is_string(column.type) else _scale(rows, column)
    is_far = (stamps < EARLIEST_MS) | (stamps >= LATEST_MS)
    refuse_rows(rows, is_far, "bad_time", "a time that is not between the years 2000 and 2100. Check its unit")
    return stamps


def check_period(rows: CsvText, stamps: IntArray, from_ms: int, to_ms: int) -> None:
    """Refuse rows outside [from_ms, to_ms). Raises IngestError: outside_period."""
    is_outside = (stamps < from_ms) | (stamps >= to_ms)
    if bool(np.any(is_outside)):
        i_row = int(np.argmax(is_outside))
        moment = dt.datetime.fromtimestamp(int(stamps[i_row]) / 1000, dt.UTC)
        text = f"{moment:%Y-%m-%d %H:%M} (UTC) lies outside the period that the name says. Correct the name or the rows"
        refuse_rows(rows, is_outside, "outside_period", text)


def refuse_rows(rows: CsvText, is_bad: NDArray[np.bool_], code: str, what: str) -> None:
    """Raises IngestError for the first bad row, if there is one."""
    if bool(np.any(is_bad)):
        raise IngestError(code, f"{rows.name}, line {rows.line_of(int(np.argmax(is_bad)))}: {what}.")


def _scale(rows: CsvText, column: ArrowColumn) -> IntArray:
    if pa.types.is_floating(column.type):
        numbers = to_floats(column)
        is_whole = np.isfinite(numbers) & (numbers == np.floor(numbers)) & (np.abs(numbers) < 2.0**63)
        refuse_rows(rows, ~is_whole, "bad_time", "a time that is no whole number. Write UTC milliseconds")
        stamps = numbers.astype(np.int64)
    else:
        stamps = to_ints(column)
    refuse_rows(rows, stamps <= 0, "bad_time", "a time that is not above zero. Write UTC milliseconds")
    is_seconds = stamps < _SECONDS_BELOW
    if bool(np.any(is_seconds)):
        text = "a time in another unit than the rows before it. Write all of them in milliseconds"
        refuse_rows(rows, is_seconds != is_seconds[0], "mixed_units", text)
        return stamps * 1000
    per_ms = np.where(stamps >= _NANOSECONDS_FROM, 10**6, np.where(stamps >= _MICROSECONDS_FROM, 1000, 1))
    is_between = stamps % per_ms != 0
    refuse_rows(rows, is_between, "bad_time", "a time between two milliseconds. Round it to one")
    return np.asarray(stamps // per_ms, np.int64)


def _parse_iso(rows: CsvText, column: ArrowColumn) -> IntArray:
    for texts in (column, pc.replace_substring_regex(column, r"\s*(UTC|GMT)\s*$", "Z")):
        for kind in _ISO_KINDS:
            try:
                stamps = to_ints(texts.cast(kind).cast(pa.int64()))
            except pa.ArrowException:
                continue
            per_ms = 10**6 if kind.unit == "ns" else 1000
            refuse_rows(rows, stamps % per_ms != 0, "bad_time", "a time between two milliseconds. Round it to one")
            return stamps // per_ms
    _refuse_iso(rows, column)
    text = f"{rows.name}: some times name a zone and some do not. Write all of them in UTC."
    raise IngestError("mixed_zones", text)


def _refuse_iso(rows: CsvText, column: ArrowColumn) -> None:
    for i_row, field in enumerate(column.to_pylist()):
        text = str(field)
        try:
            dt.datetime.fromisoformat(text)
        except ValueError:
            says = f"{rows.name}, line {rows.line_of(i_row)}: {text[:40]!r} is not an ISO time"
            raise IngestError("bad_time", f"{says}. Write times such as 2025-01-31 08:00:00.") from None
