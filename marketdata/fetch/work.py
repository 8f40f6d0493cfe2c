"""One fetch from beginning to end: plan, download ahead, take in month by month, fill from dailies."""

import datetime as dt
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from marketdata.fetch.archive import Archive
from marketdata.fetch.downloads import DownloadCache, Downloader, Ticket
from marketdata.fetch.errors import ArchiveError
from marketdata.fetch.held import find_empty_days, find_short_days, find_short_days_of_file, held_files, held_names
from marketdata.fetch.plan import NO_ROWS, Missing, MonthPlan, SeriesPlan, plan_series
from marketdata.fetch.pulse import Pulse
from marketdata.fetch.shelf import ArchiveFile, Shelf, day_periods
from marketdata.fetch.spans import WantedSeries, days_of, join_days
from marketdata.imports import ImportOutcome, Refusal, log_lines, take_in
from marketdata.store import StoreError

MONTHS_AHEAD = 6  # on their way while one is taken in: bounds what waits on the disk
MAX_SILENT_FILES = 3  # so many in a row without an answer, and the archive is taken to be down
MAX_UNSTORED = 2
MAX_LISTED = 2_000


@dataclass(slots=True)
class FetchReport:
    """What came of a fetch. `is_complete`: everything that was asked for is held now."""

    imported: ImportOutcome
    missing: list[Missing] = field(default_factory=list)
    n_held: int = 0  # files that had been taken in before

    @property
    def is_complete(self) -> bool:
        return not self.imported.refusals and not self.missing

    @property
    def summary(self) -> str:
        """One sentence: why it is not complete, or what it brought."""
        n_refused, n_missing = len(self.imported.refusals), len(self.missing)
        if self.is_complete:
            done = self.imported.n_files_done
            return f"{done} file{'' if done == 1 else 's'} taken in, {self.n_held} held before."
        parts = []
        if n_missing:
            more = f" ({n_missing - 1} more)" if n_missing > 1 else ""
            parts.append(f"Missing: {self.missing[0].message}{more}")
        if n_refused:
            more = f" ({n_refused - 1} more)" if n_refused > 1 else ""
            parts.append(f"Refused: {self.imported.refusals[0].message}{more}")
        return " ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Plain values, bounded; the counts are of everything."""
        changes, refusals = self.imported.changes, self.imported.refusals
        return {
            "n_files_held_before": self.n_held,
            "n_missing": len(self.missing),
            "n_refused": len(refusals),
            "segments": [
                {
                    "series": str(key),
                    "month": f"{change.month:%Y-%m}",
                    "change": change.change.value,
                    "rows": change.n_rows,
                    "revision": change.revision,
                    "quality": change.quality,
                }
                for key, change in changes[:MAX_LISTED]
            ],
            "missing": [missing.to_json() for missing in self.missing[:MAX_LISTED]],
            "refused": [
                {"name": refusal.name, "code": refusal.code, "message": refusal.message}
                for refusal in refusals[:MAX_LISTED]
            ],
        }


@dataclass(frozen=True, slots=True)
class _Unit:
    """One month of one series on its way."""

    plan: SeriesPlan
    month: MonthPlan
    held: Container[str]
    tickets: list[Ticket]


class FetchWork:
    """Carries out a fetch for a running job. What was taken in stays, whatever happens afterwards."""

    def __init__(
        self, archive: Archive, cache: DownloadCache, pulse: Pulse, stop: threading.Event, today: dt.date
    ) -> None:
        self._archive, self._cache, self._pulse, self._today = archive, cache, pulse, today
        self._downloader = Downloader(archive, cache, stop)
        self._n_silent = self._n_unstored = 0
        self.report = FetchReport(ImportOutcome(pulse.job))

    def run(self, wanted: Sequence[WantedSeries]) -> FetchReport:
        """Raises JobStopped, ArchiveError (the archive does not answer), OSError or StoreError (the disk is full)."""
        self._pulse.enter("planning")
        plans = [
            plan_series(Shelf(self._archive, series, self._pulse.beat), series, self._today, held_names(series))
            for series in wanted
        ]
        self._cache.folder.mkdir(parents=True, exist_ok=True)
        self._cache.sweep()
        for plan in plans:
            self._announce(plan)
        n_files = sum(len(plan.files) for plan in plans)
        self._pulse.facts["n_files"] = self.report.imported.n_files = n_files
        self._pulse.progress = {"n_bytes_planned": sum(plan.n_bytes for plan in plans), "n_bytes": 0, "now": ""}
        self._pulse.enter("fetching")
        with tempfile.TemporaryDirectory(prefix=".job-", dir=self._cache.folder) as folder:
            for unit in self._submit_ahead(plans):
                self._finish(unit, Path(folder))
        self._pulse.beat(now=True)
        return self.report

    def _announce(self, plan: SeriesPlan) -> None:
        self.report.missing += plan.missing
        n_files = len(plan.files)
        self._pulse.say(f"{plan.wanted}: {n_files} file{'' if n_files == 1 else 's'} to look at.")
        if plan.shelf.note:
            self._pulse.say(plan.shelf.note)
        for missing in plan.missing:
            self._pulse.say(f"missing: {missing.message}")

    def _submit_ahead(self, plans: Sequence[SeriesPlan]) -> Iterator[_Unit]:
        """The months in order, each with its files asked for; a few more are on their way meanwhile."""
        waiting: deque[_Unit] = deque()
        for plan in plans:
            held = held_files(plan.wanted)
            for month in plan.months:
                waiting.append(_Unit(plan, month, held, self._downloader.submit(month.files, held)))
                if len(waiting) > MONTHS_AHEAD:
                    yield waiting.popleft()
        yield from waiting

    def _finish(self, unit: _Unit, folder: Path) -> None:
        """Take one month in, with dailies for what its monthly lacks; afterwards none of its files is left here."""
        wanted, month = unit.plan.wanted, unit.month
        self._pulse.progress["now"] = f"{wanted} {month.month:%Y-%m}"
        self._pulse.beat()
        paths = self._collect(unit.tickets, unit.held, folder)
        is_there = bool(paths) or any(ticket.is_held for ticket in unit.tickets)
        if not (month.is_monthly and wanted.has_dailies and is_there):
            self._take_in(wanted, paths)
        else:
            # Of two rows for one time the monthly's stands, since all of them are taken in together.
            self._take_in(wanted, [*self._collect_dailies(unit, paths, folder), *paths])
            self._note_empty_days(wanted, month)
        shutil.rmtree(folder / "data", ignore_errors=True)

    def _collect_dailies(self, unit: _Unit, monthly: Sequence[Path], folder: Path) -> list[Path]:
        """The daily files of days that neither the monthly nor what is held has whole."""
        wanted, month = unit.plan.wanted, unit.month
        try:
            short = find_short_days(wanted, month.from_day, month.end_day)
        except StoreError:  # a held file is lost: what is taken in now may heal it
            short = days_of(month.from_day, month.end_day)
        for path in monthly if short else ():
            in_file = find_short_days_of_file(path, folder, wanted)
            short = [day for day in short if day in in_file]
        dailies = unit.plan.shelf.find(day_periods(day for day in short if day < self._today))
        tickets = self._downloader.submit(dailies.values(), unit.held)
        found = self._collect(tickets, unit.held, folder)
        self.report.imported.n_files += len(tickets)
        if found:
            self._pulse.say(f"{wanted} {month.month:%Y-%m}: {len(found)} days are filled from daily files.")
        return found

    def _note_empty_days(self, wanted: WantedSeries, month: MonthPlan) -> None:
        try:
            empty = find_empty_days(wanted, month.from_day, month.end_day)
        except StoreError as error:
            text = f"{wanted}: {error} Mend it with: manage.py check_candles --repair"
            self._refuse(Refusal(str(wanted), "damaged", text))
            return
        for first, last in join_days([day for day in empty if day < self._today]):
            missing = Missing(str(wanted), first, last, NO_ROWS)
            self.report.missing.append(missing)
            self._pulse.say(f"missing: {missing.message}")

    def _collect(self, tickets: list[Ticket], held: Container[str], folder: Path) -> list[Path]:
        """Wait for files; those to be taken in now lie in `folder` afterwards."""
        paths = []
        for ticket in tickets:
            path = self._await(ticket, folder)
            if path is None and ticket.error is None and not ticket.is_held:  # another fetch took it: once more
                [again] = self._downloader.submit([ticket.file], held)
                path = self._await(again, folder)
            if path is not None:
                paths.append(path)
        return paths

    def _await(self, ticket: Ticket, folder: Path) -> Path | None:
        ticket.wait(self._note_bytes)
        self._note_bytes()
        error = ticket.error
        if isinstance(error, OSError):
            raise error
        if error is not None:
            self._note_error(ticket.file, error.code, error.message)
            return None
        self._n_silent = 0
        if ticket.is_held:
            self.report.n_held += 1
            self._count_files()
            return None
        return self._cache.take(ticket.file.key, folder)

    def _note_error(self, file: ArchiveFile, code: str, message: str) -> None:
        self._refuse(Refusal(file.name, code, message))
        self._n_silent = self._n_silent + 1 if code in ("no_answer", "too_slow") else 0
        if self._n_silent >= MAX_SILENT_FILES:
            raise ArchiveError("no_answer", f"The archive does not answer any more: {message}")

    def _take_in(self, wanted: WantedSeries, paths: Sequence[Path]) -> None:
        if not paths:
            return
        imported = self.report.imported
        news = ImportOutcome(imported.job)
        try:
            take_in(paths, news, market=wanted.market, symbol=wanted.symbol, on_progress=lambda *_: self._pulse.beat())
        finally:
            imported.changes += news.changes
            imported.refusals += news.refusals
            imported.notes += news.notes
            imported.n_files_done += news.n_files_done
            imported.n_rows += news.n_rows
            for line in log_lines(news):
                self._pulse.say(line)
            self._count_files()
        unstored = [refusal for refusal in news.refusals if refusal.code == "not_stored"]
        self._n_unstored = self._n_unstored + 1 if unstored else 0
        if self._n_unstored >= MAX_UNSTORED:  # one may have a damaged file of its own; several mean a full disk
            raise StoreError(unstored[0].message)

    def _refuse(self, refusal: Refusal) -> None:
        self.report.imported.refusals.append(refusal)
        self._pulse.say(f"refused: {refusal.message}")

    def _count_files(self) -> None:
        imported = self.report.imported
        done = imported.n_files_done + self.report.n_held
        self._pulse.facts |= {"n_files": imported.n_files, "n_files_done": done, "n_rows": imported.n_rows}

    def _note_bytes(self) -> None:
        self._pulse.progress["n_bytes"] = self._downloader.n_bytes
        self._pulse.beat()
