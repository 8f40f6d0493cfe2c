"""Which files of the archive make up a wanted series: monthlies, dailies for what these lack, and what nothing has."""

import datetime as dt
from collections.abc import Container
from dataclasses import dataclass, field, replace
from typing import Any

from marketdata.fetch.shelf import ArchiveFile, Shelf, day_periods
from marketdata.fetch.spans import DAY, WantedSeries, days_of, join_days, next_month

USUAL_DELAY = dt.timedelta(days=45)  # a file that is this old and not there will hardly come

NOT_OVER = "not_over"
NOT_PUBLISHED = "not_published"
NOT_IN_ARCHIVE = "not_in_archive"
BEFORE_FIRST = "before_first"
NOTHING = "nothing"
NO_ROWS = "no_rows"
REASONS = {
    NOT_OVER: "not over yet",
    NOT_PUBLISHED: "not published yet",
    NOT_IN_ARCHIVE: "not in the archive",
    BEFORE_FIRST: "before its first file",
    NOTHING: "the archive holds no file of it in this span; are symbol, market and timeframe right?",
    NO_ROWS: "without a row in the monthly file, and no daily file has any",
}


@dataclass(frozen=True, slots=True)
class Missing:
    """Days of a wanted series that cannot be had, and why; both days are in."""

    series: str
    first_day: dt.date
    last_day: dt.date
    reason: str

    @property
    def period(self) -> str:
        """2025-01, or 2025-01 to 2025-03, of whole months; else 2025-01-05, or 2025-01-05 to 2025-01-09."""
        is_whole = self.first_day.day == 1 and (self.last_day + DAY).day == 1
        shape = "%Y-%m" if is_whole else "%Y-%m-%d"
        first, last = self.first_day.strftime(shape), self.last_day.strftime(shape)
        return first if first == last else f"{first} to {last}"

    @property
    def why(self) -> str:
        return REASONS[self.reason]

    @property
    def message(self) -> str:
        return f"{self.series} {self.period}: {self.why}"

    def to_json(self) -> dict[str, Any]:
        return {"series": self.series, "period": self.period, "reason": self.reason, "message": self.message}


@dataclass(frozen=True, slots=True)
class MonthPlan:
    """The files of one month of a series; together they become visible. [from_day, end_day) is what is wanted of it."""

    month: dt.date
    from_day: dt.date
    end_day: dt.date
    files: tuple[ArchiveFile, ...]
    missing: tuple[Missing, ...] = ()

    @property
    def is_monthly(self) -> bool:
        return any(file.is_monthly for file in self.files)


@dataclass(frozen=True, slots=True)
class SeriesPlan:
    """What is to be fetched of one series. The shelf is kept, to ask for dailies that a monthly turns out to lack."""

    wanted: WantedSeries
    months: tuple[MonthPlan, ...]
    shelf: Shelf = field(repr=False, compare=False)

    @property
    def missing(self) -> list[Missing]:
        """What cannot be had, in time order, stretches of one reason joined."""
        joined: list[Missing] = []
        for missing in sorted((row for month in self.months for row in month.missing), key=lambda row: row.first_day):
            last = joined[-1] if joined else None
            if last and last.reason == missing.reason and last.last_day + DAY == missing.first_day:
                joined[-1] = replace(last, last_day=missing.last_day)
            else:
                joined.append(missing)
        if joined and not self.files and {NOT_IN_ARCHIVE} & {missing.reason for missing in joined}:
            return [Missing(str(self.wanted), joined[0].first_day, joined[-1].last_day, NOTHING)]
        return joined

    @property
    def files(self) -> list[ArchiveFile]:
        return [file for month in self.months for file in month.files]

    @property
    def n_bytes(self) -> int:
        """0 where the archive does not list its files."""
        return sum(file.n_bytes for file in self.files)


def plan_series(
    shelf: Shelf, wanted: WantedSeries, today: dt.date, held_names: Container[str] = frozenset()
) -> SeriesPlan:
    """The files of a series, from what the archive holds today.

    held_names: files that were taken in before; a part of a month whose monthly is among them needs no dailies.
    Raises ArchiveError when the archive does not answer.
    """
    parts = list(wanted.months())
    monthlies = shelf.find([f"{month:%Y-%m}" for month, _, _ in parts if month < today])
    months = []
    for part in parts:
        monthly = monthlies.get(f"{part[0]:%Y-%m}")
        is_held = monthly is not None and monthly.name in held_names
        months.append(_plan_month(shelf, wanted, part, monthly, today, prefers_monthly=is_held))
    if wanted.is_open and (wanted.may_be_empty or any(month.files for month in months)):
        months = _cut_tail(months)
    return SeriesPlan(wanted, tuple(months), shelf)


def _plan_month(
    shelf: Shelf,
    wanted: WantedSeries,
    part: tuple[dt.date, dt.date, dt.date],
    monthly: ArchiveFile | None,
    today: dt.date,
    *,
    prefers_monthly: bool,
) -> MonthPlan:
    """The monthly of a month that is wanted whole; else dailies, and the monthly where they do not suffice."""
    month, from_day, end_day = part
    is_whole = from_day == month and end_day == next_month(month)
    if monthly and (is_whole or prefers_monthly or not wanted.has_dailies):
        return MonthPlan(*part, (monthly,))
    days = days_of(from_day, end_day)
    if not wanted.has_dailies:
        return MonthPlan(*part, (), tuple(_lack(shelf, wanted, days, today, is_monthly=True)))
    dailies = shelf.find(day_periods(day for day in days if day < today))
    lacking = [day for day in days if day.isoformat() not in dailies]
    if monthly and lacking:
        return MonthPlan(*part, (monthly,))
    return MonthPlan(*part, tuple(dailies.values()), tuple(_lack(shelf, wanted, lacking, today, is_monthly=False)))


def _lack(
    shelf: Shelf, wanted: WantedSeries, days: list[dt.date], today: dt.date, *, is_monthly: bool
) -> list[Missing]:
    def reason_of(day: dt.date) -> str:
        end = next_month(day) if is_monthly else day + DAY
        if end > today:
            return NOT_OVER
        if shelf.first_month and f"{day:%Y-%m}" < shelf.first_month:
            return BEFORE_FIRST
        return NOT_PUBLISHED if today - end < USUAL_DELAY else NOT_IN_ARCHIVE

    reasons = {day: reason_of(day) for day in days}
    return [
        Missing(str(wanted), first, last, reason)
        for reason in dict.fromkeys(reasons.values())
        for first, last in join_days([day for day in days if reasons[day] == reason])
    ]


def _cut_tail(months: list[MonthPlan]) -> list[MonthPlan]:
    """Without what is lacking behind the last file: an open span ends there."""
    last = max((_end_of(file) for month in months for file in month.files), default=dt.date.min)
    cut = []
    for month in months:
        missing = tuple(missing for missing in month.missing if missing.first_day < last)
        if month.files or missing:
            cut.append(MonthPlan(month.month, month.from_day, min(month.end_day, last), month.files, missing))
    return cut


def _end_of(file: ArchiveFile) -> dt.date:
    if file.is_monthly:
        return next_month(dt.date.fromisoformat(f"{file.period}-01"))
    return dt.date.fromisoformat(file.period) + DAY
