"""Something to try the site on: the newest month of the archive, or made-up candles where there is no network."""

import datetime as dt
import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from marketdata.arrays import TimedRows
from marketdata.coverage import SeriesCoverage, catalogue
from marketdata.fetch.archive import Archive, ArchiveMissing
from marketdata.home import candle_store
from marketdata.imports import ImportOutcome, finish_job, import_paths
from marketdata.ingest.binance_archive import ArchiveFolder
from marketdata.ingest.errors import IngestError
from marketdata.models import IngestJob, Series, SeriesKind, SeriesOrigin
from marketdata.segments import SeriesKey, Source, store_rows
from marketdata.synthetic import SAMPLE_MONTH, make_candles, make_funding

MARKET, SYMBOL, TIMEFRAME = "usdm", "BTCUSDT", "1m"
PROBE_TIMEOUT_S = 3.0
FETCH_DEADLINE_S = 30.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The series that the sample run uses, and one sentence about where it came from."""

    coverage: SeriesCoverage
    message: str


def find_sample() -> SeriesCoverage | None:
    """The sample series if one is held, the exchange's before a synthetic one."""
    found = catalogue(
        Series.objects.shared().filter(
            instrument__market=MARKET, instrument__symbol=SYMBOL, kind=SeriesKind.TRADE, timeframe=TIMEFRAME
        )
    )
    return min(found, key=lambda coverage: coverage.is_synthetic, default=None)


def fetch_sample(*, say: Callable[[str], None] = lambda _: None) -> Sample:
    """Make sure that a sample series is held. Held already: nothing happens, no network is asked.

    Else the newest month of BTCUSDT futures 1m with its funding, if the archive answers within a few seconds; else
    the synthetic series.
    """
    if held := find_sample():
        return Sample(held, f"A sample is held already: {held.name}.")
    try:
        month = _fetch_newest(say)
        message = f"Fetched {SYMBOL} futures, 1m, {month}, from the exchange's archive."
    except (IngestError, OSError) as error:
        say(f"The archive cannot be used ({error}).")
        make_sample()
        message = f"Made a synthetic {SYMBOL} series instead: it is labelled so wherever it shows."
    sample = find_sample()
    if sample is None:
        raise IngestError("no_sample", "The sample was stored but cannot be found.")
    return Sample(sample, message)


def make_sample(month: dt.date = SAMPLE_MONTH) -> ImportOutcome:
    """Store the deterministic synthetic month: BTCUSDT futures 1m with funding, origin synthetic. Idempotent."""
    description = f"Make synthetic candles of {month:%Y-%m}"
    outcome = ImportOutcome(IngestJob.objects.start(IngestJob.Kind.IMPORT, description))
    made: tuple[tuple[str, str, TimedRows], ...] = (
        (SeriesKind.TRADE.value, TIMEFRAME, make_candles(month)),
        (SeriesKind.FUNDING.value, "", make_funding(month)),
    )
    try:
        for kind, timeframe, rows in made:
            key = SeriesKey(MARKET, SYMBOL, kind, timeframe, SeriesOrigin.SYNTHETIC.value)
            digest = hashlib.sha256(b"".join(column.tobytes() for column in rows.columns().values())).hexdigest()
            source = Source(f"synthetic {kind} {month:%Y-%m}", digest, len(rows))
            outcome.changes += [(key, change) for change in store_rows(candle_store(), key, [(source, rows)])]
            outcome.n_files_done += 1
            outcome.n_rows += len(rows)
    finally:
        outcome.n_files = len(made)
        finish_job(outcome)
    return outcome


def _fetch_newest(say: Callable[[str], None]) -> str:
    """Download and import the newest month; returns it. Raises IngestError."""
    archive = Archive(
        settings.ARCHIVE_URL,
        settings.ARCHIVE_LISTING_URL,
        timeout_s=PROBE_TIMEOUT_S,
        n_tries=1,
        deadline_s=FETCH_DEADLINE_S,
    )
    candles = ArchiveFolder(MARKET, "trade", SYMBOL, TIMEFRAME)
    month = archive.newest_month(candles, dt.datetime.now(dt.UTC).date())
    if month is None:
        raise ArchiveMissing("missing", f"it holds no month of {SYMBOL} {TIMEFRAME}")
    say(f"Fetching {SYMBOL} {TIMEFRAME} of {month} from {archive.base_url} ...")
    with tempfile.TemporaryDirectory(dir=settings.HOME) as folder:
        paths = [archive.download(candles.key(month), Path(folder))]
        try:
            funding = ArchiveFolder(MARKET, "funding", SYMBOL, "")
            paths.append(archive.download(funding.key(month), Path(folder)))
        except IngestError as error:
            say(f"No funding rates of {month} ({error}); runs go on without and say so.")
        outcome = import_paths(paths)
    if not outcome.is_complete:
        raise IngestError("refused", "; ".join(refusal.message for refusal in outcome.refusals))
    return month
