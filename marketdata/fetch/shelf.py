"""What the archive holds of one series: read off its listing, or, where it has none, asked file by file."""

import datetime as dt
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from marketdata.fetch.archive import Archive
from marketdata.fetch.errors import ArchiveError, ArchiveMissing
from marketdata.fetch.spans import WantedSeries
from marketdata.fetch.waiting import run_all

N_ASKING = 6


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A zip that the archive holds. n_bytes is 0 and sha256 empty where they are not known yet."""

    key: str
    period: str
    n_bytes: int = 0
    sha256: str = ""

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def is_monthly(self) -> bool:
        return len(self.period) == len("2025-01")


class Shelf:
    """The files of one series. What was found out once is not asked again."""

    def __init__(self, archive: Archive, wanted: WantedSeries, on_wait: Callable[[], None] | None = None) -> None:
        self._archive = archive
        self._wanted = wanted
        self._on_wait = on_wait or (lambda: None)
        self._known: dict[str, ArchiveFile | None] = {}
        self._listed: dict[bool, str] = {}  # monthly or daily: the first period of which the listing tells
        self.has_listing = bool(archive.listing_url)
        self.first_month = ""  # of all that is listed; empty where it is not known
        self.note = ""

    def find(self, periods: Iterable[str]) -> dict[str, ArchiveFile]:
        """Those of some periods (all of them months, or all of them days) that are there. Raises ArchiveError."""
        wanted = list(periods)
        if not wanted:
            return {}
        is_monthly = len(wanted[0]) == len("2025-01")
        if self.has_listing and not self._list(is_monthly, min(wanted)):
            self.has_listing = False
        unknown = [] if self.has_listing else [period for period in wanted if period not in self._known]
        if unknown:
            self._ask(unknown, is_monthly)
        return {period: file for period in wanted if (file := self._known.get(period)) is not None}

    def _list(self, is_monthly: bool, first: str) -> bool:
        """Read the listing from a period on. False: there is none to be had."""
        if is_monthly in self._listed and self._listed[is_monthly] <= first:
            return True
        folder = self._wanted.folder(is_monthly=is_monthly)
        stem = folder.key("")[: -len(".zip")]
        found = re.compile(re.escape(stem) + ("([0-9]{4}-[0-9]{2})" if is_monthly else "([0-9-]{10})") + r"\.zip")
        after = "" if is_monthly else f"{stem}{first}"
        try:
            [files] = run_all(lambda key: list(self._archive.list_files(folder.prefix, key)), [after], 1, self._on_wait)
            for listed in files:
                if match := found.fullmatch(listed.key):
                    self._known[match[1]] = ArchiveFile(listed.key, match[1], listed.n_bytes)
        except ArchiveError as error:
            if error.code == "stopped":
                raise
            self.note = f"The listing cannot be used, so the files are asked for one by one: {error.message}"
            return False
        self._listed[is_monthly] = "" if is_monthly else first
        if is_monthly:
            self.first_month = min((period for period in self._known if len(period) == len(first)), default="")
        return True

    def _ask(self, periods: list[str], is_monthly: bool) -> None:
        folder = self._wanted.folder(is_monthly=is_monthly)

        def ask(period: str) -> ArchiveFile | None:
            key = folder.key(period)
            try:
                return ArchiveFile(key, period, sha256=self._archive.fetch_checksum(key))
            except ArchiveMissing:
                return None

        self._known |= zip(periods, run_all(ask, periods, N_ASKING, self._on_wait), strict=True)


def day_periods(days: Iterable[dt.date]) -> list[str]:
    return [day.isoformat() for day in days]
