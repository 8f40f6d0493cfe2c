"""Rows into segments: file first, row second, one transaction for everything that belongs together."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.db import transaction

from marketdata.arrays import CandleArrays, FundingArrays, TimedRows
from marketdata.ingest.errors import IngestError
from marketdata.ingest.merging import merge_rows, split_months
from marketdata.ingest.quality import QualityReport, Verdict, check_candles, check_funding
from marketdata.instruments import ensure_instrument
from marketdata.models import Instrument, Segment, Series, SeriesKind, SeriesOrigin
from marketdata.store import CandleStore, SegmentDamaged, SegmentMissing, SegmentRef, StoreError


class Change(StrEnum):
    NEW = "new"
    REVISED = "revised"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Which series rows belong to. `timeframe` is empty for funding."""

    market: str
    symbol: str
    kind: str
    timeframe: str
    origin: str = SeriesOrigin.EXCHANGE.value
    owner_id: int | None = None  # of a private instrument, which must be there

    def __str__(self) -> str:
        kind = "" if self.kind == SeriesKind.TRADE else f" {self.kind}"
        return f"{self.symbol} {self.market}{kind} {self.timeframe}".rstrip()


@dataclass(frozen=True, slots=True)
class Source:
    """A file that rows came from, as a segment remembers it."""

    name: str
    sha256: str
    n_rows: int
    n_duplicates: int = 0
    n_out_of_order: int = 0

    def to_json(self) -> dict[str, str | int]:
        return {
            "name": self.name,
            "sha256": self.sha256,
            "n_rows": self.n_rows,
            "n_duplicates": self.n_duplicates,
            "n_out_of_order": self.n_out_of_order,
        }


@dataclass(frozen=True, slots=True)
class SegmentChange:
    """What happened to one month; `quality` says what is odd about its rows, in a few words."""

    month: dt.date
    change: Change
    n_rows: int
    revision: int
    quality: str = ""


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that was taken in before, and the months that hold its rows."""

    n_rows: int
    months: tuple[SegmentChange, ...]


def store_rows(store: CandleStore, key: SeriesKey, parts: Sequence[tuple[Source, TimedRows]]) -> list[SegmentChange]:
    """Merge rows with what is held, month by month, and make them visible at once or not at all.

    Of several rows for one time the later part's stands. Rows that are held already change nothing; others make a new
    revision of their month, whose old file stays for the runs that pin it. Raises IngestError or StoreError.
    """
    rows = merge_rows([part for _, part in parts])
    with transaction.atomic():
        candles = rows if isinstance(rows, CandleArrays) and key.kind == SeriesKind.TRADE else None
        instrument = (
            ensure_instrument(key.market, key.symbol, candles)
            if key.owner_id is None
            else Instrument.objects.get(owner_id=key.owner_id, market=key.market, symbol=key.symbol)
        )
        series, _ = Series.objects.get_or_create(
            instrument=instrument, kind=key.kind, timeframe=key.timeframe, origin=key.origin
        )
        series = Series.objects.select_for_update().get(pk=series.pk)  # one writer per series
        return [
            _store_month(store, series, month, part, [source for source, _ in parts])
            for month, part in split_months(rows)
        ]


def find_known(store: CandleStore, key: SeriesKey, month: str = "") -> dict[str, KnownFile]:
    """The files that the held rows of a series came from, by SHA-256. month (as 2025-01): only look there.

    A file of which a month has lost its candle file is not among them: its rows are wanted again.
    """
    held = Segment.objects.filter(
        is_current=True,
        series__instrument__market=key.market,
        series__instrument__symbol=key.symbol,
        series__instrument__owner_id=key.owner_id,
        series__kind=key.kind,
        series__timeframe=key.timeframe,
        series__origin=key.origin,
    ).order_by("month")
    if month:
        held = held.filter(month=f"{month}-01")
    known: dict[str, KnownFile] = {}
    lost: set[str] = set()
    for segment in held:
        change = SegmentChange(segment.month, Change.UNCHANGED, segment.n_rows, segment.revision)
        sources = {str(source["sha256"]): int(source["n_rows"]) for source in segment.source_sha256s}
        if not _is_there(store, segment):
            lost |= sources.keys()
        for sha256, n_rows in sources.items():
            months = known[sha256].months if sha256 in known else ()
            known[sha256] = KnownFile(n_rows, (*months, change))
    return {sha256: file for sha256, file in known.items() if sha256 not in lost}


def _is_there(store: CandleStore, segment: Segment) -> bool:
    try:
        return store.n_bytes(ref_of(segment)) == segment.n_bytes
    except (StoreError, OSError):
        return False


def check_rows(rows: TimedRows, timeframe: str, kind: str) -> QualityReport:
    if isinstance(rows, FundingArrays):
        return check_funding(rows)
    if isinstance(rows, CandleArrays):
        return check_candles(rows, timeframe, kind)
    raise TypeError(type(rows))


def _store_month(
    store: CandleStore, series: Series, month: dt.date, rows: TimedRows, sources: list[Source]
) -> SegmentChange:
    held = series.segments.filter(month=month, is_current=True).first()
    merged = _merge_with_held(store, held, rows, sources)
    names = _merge_sources(held, sources)
    if held is not None and merged is None:
        if names != held.source_sha256s:
            Segment.objects.filter(pk=held.pk).update(source_sha256s=names)
        return SegmentChange(month, Change.UNCHANGED, held.n_rows, held.revision)
    rows = rows if merged is None else merged
    report = check_rows(rows, series.timeframe, series.kind)
    if report.verdict is Verdict.REFUSED:
        text = f"{series} {month:%Y-%m}: together with what is held, {report.explain()}."
        raise IngestError(report.problems[0].code, text)
    ref = store.publish(rows)
    if held is not None and ref.sha256 == held.sha256:  # its file was lost, and is there again
        return SegmentChange(month, Change.UNCHANGED, held.n_rows, held.revision)
    newest = series.segments.filter(month=month).order_by("-revision").first()
    revision = newest.revision + 1 if newest else 1
    series.segments.filter(month=month, is_current=True).update(is_current=False)
    Segment.objects.create(
        series=series,
        month=month,
        revision=revision,
        sha256=ref.sha256,
        n_rows=ref.n_rows,
        first_ms=ref.first_ms,
        last_ms=ref.last_ms,
        n_bytes=store.n_bytes(ref),
        source_sha256s=names,
        quality=report.to_json(),
    )
    series.save(update_fields=["changed_at"])
    change = Change.REVISED if held else Change.NEW
    return SegmentChange(month, change, ref.n_rows, revision, report.summary())


def _merge_with_held(
    store: CandleStore, held: Segment | None, rows: TimedRows, sources: list[Source]
) -> TimedRows | None:
    """The rows of the month with what is held; None where that brings nothing new.

    Where the held file is lost or damaged, the rows stand alone if every file that it was made of is given again.
    """
    if held is None:
        return rows
    refs = [ref_of(held)]
    try:
        old: TimedRows = store.read_candles(refs) if isinstance(rows, CandleArrays) else store.read_funding(refs)
    except (SegmentMissing, SegmentDamaged):
        if {source["sha256"] for source in held.source_sha256s} <= {source.sha256 for source in sources}:
            return rows
        raise
    merged = merge_rows([old, rows])
    return None if merged.has_same_rows(old) else merged


def ref_of(segment: Segment) -> SegmentRef:
    return SegmentRef(segment.sha256, segment.n_rows, segment.first_ms, segment.last_ms)


def _merge_sources(held: Segment | None, sources: list[Source]) -> list[dict[str, str | int]]:
    """Every file that the rows came from; a revised file takes the place of the one of the same name."""
    by_name = {source["name"]: source for source in (held.source_sha256s if held else [])}
    by_name |= {source.name: source.to_json() for source in sources}
    return sorted(by_name.values(), key=lambda source: str(source["name"]))
