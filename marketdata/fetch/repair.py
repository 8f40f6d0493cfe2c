"""Candle files that are lost or damaged, made again from the archive's files that they came from."""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.db import transaction

from marketdata.arrays import TimedRows
from marketdata.fetch.archive import Archive
from marketdata.fetch.errors import ArchiveError, ArchiveMissing
from marketdata.fetch.shelf import ArchiveFile
from marketdata.home import candle_store
from marketdata.imports import ImportOutcome, read_file
from marketdata.ingest.binance_archive import ArchiveFolder
from marketdata.ingest.errors import IngestError
from marketdata.ingest.file_names import sniff_path
from marketdata.ingest.merging import merge_rows, split_months
from marketdata.models import IngestJob, Segment, SeriesOrigin
from marketdata.segments import SeriesKey, Source, ref_of, store_rows
from marketdata.verification import Damage

HEALED = "healed"  # the same file stands again
REVISED = "revised"  # the exchange has other rows now, or rows are written otherwise: a new revision stands
DROPPED = "dropped"  # a replaced revision that nobody needs is forgotten
FAILED = "failed"

_PERIOD = re.compile(r"-([0-9]{4}-[0-9]{2}(?:-[0-9]{2})?)\.zip")


@dataclass(frozen=True, slots=True)
class Repair:
    """What came of the repair of one candle file."""

    sha256: str
    series: str
    month: str
    revision: int | None
    state: str
    message: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class CannotRepair(Exception):
    """Why a file cannot be had again, in one sentence. `is_final`: trying later will not help."""

    def __init__(self, message: str, *, is_final: bool = True) -> None:
        super().__init__(message)
        self.is_final = is_final


class Repairer:
    """Repairs one damaged file after the other, for a running job. What is repaired is visible at once."""

    def __init__(self, archive: Archive, job: IngestJob, folder: Path) -> None:
        self._archive = archive
        self._outcome = ImportOutcome(job)
        self._folder = folder
        self._store = candle_store()

    def repair(self, damage: Damage) -> Repair:
        """Raises StoreError or OSError when nothing can be written; every other failure is the Repair's message."""
        named = Segment.objects.filter(pk=damage.segment_id or 0)
        segment = named.select_related("series__instrument").first()
        try:
            if damage.kind not in ("missing", "damaged"):
                raise CannotRepair(f"A {damage.kind} file cannot be made again from the archive: {damage.message}")
            if segment is None:
                raise CannotRepair("Only runs name it: which files it came from is not known any more.")
            state, message = self._rebuild(segment)
            if state == REVISED and not damage.is_pinned:
                named.delete()  # nobody can read it any more, and nobody wants to
        except (CannotRepair, IngestError) as error:
            state, message = FAILED, str(error)
            is_final = isinstance(error, IngestError) or error.is_final
            if is_final and segment is not None and not (segment.is_current or damage.is_pinned):
                named.delete()
                state, message = DROPPED, "A replaced revision that no run has pinned, and that cannot be had again."
        return Repair(damage.sha256, damage.series, damage.month, damage.revision, state, message)

    def _rebuild(self, segment: Segment) -> tuple[str, str]:
        _check_origin(segment)
        parts, revised = self._fetch_parts(segment)
        if not revised:
            ref = self._store.publish(self._rows_of_month(segment, parts))
            if ref.sha256 == segment.sha256:
                self._store.verify(ref_of(segment))
                return HEALED, f"The same file stands again, made of {len(parts)} source files."
        if not segment.is_current:
            raise CannotRepair("The archive's files make other rows now; this revision is gone.")
        fresh = self._replace(segment, parts)
        why = f"the exchange has revised {', '.join(revised)}" if revised else "its rows make another file now"
        return REVISED, f"Revision {fresh.revision} stands in its place: {why}."

    def _replace(self, segment: Segment, parts: list[tuple[Source, TimedRows]]) -> Segment:
        """A new current revision of the month; the row of the lost one stays for the runs that name it."""
        series = segment.series
        key = SeriesKey(series.instrument.market, series.instrument.symbol, series.kind, series.timeframe)
        with transaction.atomic():
            Segment.objects.filter(pk=segment.pk).update(is_current=False)
            store_rows(self._store, key, parts)
            fresh = Segment.objects.get(series=series, month=segment.month, is_current=True)
        self._store.verify(ref_of(fresh))
        return fresh

    def _rows_of_month(self, segment: Segment, parts: Sequence[tuple[Source, TimedRows]]) -> TimedRows:
        for month, rows in split_months(merge_rows([rows for _, rows in parts])):
            if month == segment.month:
                return rows
        raise CannotRepair("The archive's files hold no row of its month any more.")

    def _fetch_parts(self, segment: Segment) -> tuple[list[tuple[Source, TimedRows]], list[str]]:
        """The rows of every source, dailies before monthlies, and the names of those that were revised since."""
        parts: list[tuple[Source, TimedRows]] = []
        revised: list[str] = []
        sources = {str(source["name"]): str(source["sha256"]) for source in segment.source_sha256s}
        files = sorted((_find_file(segment, name) for name in sources), key=lambda file: (file.is_monthly, file.name))
        with tempfile.TemporaryDirectory(prefix=".repair-", dir=self._folder) as folder:
            for file in files:
                path, is_same = self._fetch(file, sources[file.name], Path(folder))
                facts = sniff_path(path.relative_to(folder))
                parts.append(read_file(path, facts, self._outcome))
                if not is_same:
                    revised.append(file.name)
        if not parts:
            raise CannotRepair("Which files it came from is not known.")
        return parts, revised

    def _fetch(self, file: ArchiveFile, sha256: str, folder: Path) -> tuple[Path, bool]:
        """Where it lies now, and whether it is the one that was taken in."""
        try:
            published = self._archive.fetch_checksum(file.key)
            return self._archive.download(file.key, folder, published), published == sha256
        except ArchiveMissing:
            raise CannotRepair(f"The archive does not hold {file.name} any more.") from None
        except ArchiveError as error:
            raise CannotRepair(f"The archive cannot deliver {file.name}: {error.message}", is_final=False) from None


def _check_origin(segment: Segment) -> None:
    if segment.series.instrument.owner_id is not None:
        raise CannotRepair("A user's own candles are in no archive: the user can upload them again.")
    if segment.series.origin != SeriesOrigin.EXCHANGE:
        raise CannotRepair("Synthetic candles are in no archive: manage.py make_sample_candles makes them again.")


def _find_file(segment: Segment, name: str) -> ArchiveFile:
    """The archive's file of this name, if the name is one that it could have."""
    series = segment.series
    found = _PERIOD.search(name)
    period = found[1] if found else ""
    is_monthly = len(period) == len("2025-01")
    folder = ArchiveFolder(
        series.instrument.market, series.kind, series.instrument.symbol, series.timeframe, is_monthly
    )
    file = ArchiveFile(folder.key(period), period)
    if file.name != name:
        raise CannotRepair(f"{name} is no file of the archive: import it again from where it came.")
    return file
