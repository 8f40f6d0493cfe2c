"""Months and days in UTC, and the series that are wanted over a span of them. Spans are half-open: end_day is out."""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass

from marketdata.ingest.binance_archive import ArchiveFolder

DAY = dt.timedelta(days=1)
MONTHLY_ONLY = {"3d", "1w"}  # candles longer than a day have no daily files; nor has funding
_PERIOD = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?")


@dataclass(frozen=True, slots=True)
class WantedSeries:
    """One series over [from_day, end_day). `is_open`: up to what is published; else all of it is to be there.

    `may_be_empty`: nothing published in an open span is no fault.
    """

    market: str
    symbol: str
    kind: str
    timeframe: str
    from_day: dt.date
    end_day: dt.date
    is_open: bool = False
    may_be_empty: bool = False

    @property
    def has_dailies(self) -> bool:
        return self.kind != "funding" and self.timeframe not in MONTHLY_ONLY

    def folder(self, *, is_monthly: bool) -> ArchiveFolder:
        return ArchiveFolder(self.market, self.kind, self.symbol, self.timeframe, is_monthly)

    def months(self) -> Iterator[tuple[dt.date, dt.date, dt.date]]:
        """(first day of the month, from_day, end_day) of the part of each month that is wanted."""
        month = self.from_day.replace(day=1)
        while month < self.end_day:
            yield month, max(month, self.from_day), min(next_month(month), self.end_day)
            month = next_month(month)

    def __str__(self) -> str:
        kind = "" if self.kind == "trade" else f" {self.kind}"
        return f"{self.symbol} {self.market}{kind} {self.timeframe}".rstrip()


def parse_period(text: str) -> tuple[dt.date, dt.date]:
    """2025-01 or 2025-01-31 as [first day, day after the last). Raises ValueError."""
    if not _PERIOD.fullmatch(text):
        raise ValueError(text)
    if len(text) == len("2025-01"):
        first = dt.date.fromisoformat(f"{text}-01")
        return first, next_month(first)
    day = dt.date.fromisoformat(text)
    return day, day + DAY


def next_month(day: dt.date) -> dt.date:
    return (day.replace(day=1) + 32 * DAY).replace(day=1)


def days_of(from_day: dt.date, end_day: dt.date) -> list[dt.date]:
    return [from_day + i * DAY for i in range((end_day - from_day).days)]


def join_days(days: list[dt.date]) -> list[tuple[dt.date, dt.date]]:
    """Ascending days as stretches [first, last], both in."""
    stretches: list[tuple[dt.date, dt.date]] = []
    for day in days:
        if stretches and day - stretches[-1][1] == DAY:
            stretches[-1] = (stretches[-1][0], day)
        else:
            stretches.append((day, day))
    return stretches


def to_ms(day: dt.date) -> int:
    return round(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp() * 1000)
