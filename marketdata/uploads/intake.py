"""An uploaded file into a private series: by the importer's own reader, checks and store."""

import logging

import numpy as np
from django.db import transaction

from accounts.models import User
from marketdata.arrays import CandleArrays, IntArray
from marketdata.errors import UploadRefused
from marketdata.home import candle_store
from marketdata.imports import refuse_rows
from marketdata.ingest.binance_files import parse_candles
from marketdata.ingest.errors import IngestError
from marketdata.ingest.file_names import FileFacts
from marketdata.ingest.packing import read_source
from marketdata.ingest.quality import QualityReport, Verdict
from marketdata.models import PRIVATE_SUFFIX, Series, SeriesKind, SeriesOrigin, Upload
from marketdata.segments import SegmentChange, SeriesKey, Source, check_rows, store_rows
from marketdata.store import StoreError
from marketdata.timeframes import TIMEFRAME_MS
from marketdata.uploads.folder import drop_file, find_file
from marketdata.uploads.private_instruments import ensure_private_instrument
from marketdata.uploads.quota import check_use

logger = logging.getLogger(__name__)


def take_in(upload: Upload) -> None:
    """Carry out a claimed upload and end its row, whatever happens; the file is gone afterwards."""
    try:
        _take_in(upload)
    except IngestError as error:
        upload.fail(error.code, error.message)
    except UploadRefused as error:
        upload.fail(error.code, error.message)
    except FileNotFoundError:
        upload.fail("file_gone", "The file is not here any more. Upload it again.")
    except (StoreError, OSError) as error:
        logger.exception("Upload %s could not be stored.", upload.pk)
        upload.fail("not_stored", f"The candles could not be written ({type(error).__name__}). Try again later.")
    except Exception:
        logger.exception("Upload %s failed.", upload.pk)
        upload.fail("internal", "Something failed on our side. Tell whoever runs this site.")
    finally:
        drop_file(upload.pk)


def sniff_timeframe(name: str, open_ms: IntArray) -> str:
    """The timeframe that most rows are apart. Raises IngestError: no_timeframe."""
    steps, counts = np.unique(np.abs(np.diff(open_ms)), return_counts=True)
    steps, counts = steps[steps > 0], counts[steps > 0]
    if not len(steps):
        raise IngestError("no_timeframe", f"{name} has too few rows to tell the timeframe. Choose it.")
    usual_ms = int(steps[np.argmax(counts)])
    found = next((timeframe for timeframe, length_ms in TIMEFRAME_MS.items() if length_ms == usual_ms), None)
    if found is None:
        text = f"{name}: most rows are {usual_ms / 60_000:g} minutes apart, which is none of {', '.join(TIMEFRAME_MS)}."
        raise IngestError("no_timeframe", text)
    return found


def _take_in(upload: Upload) -> None:
    source = read_source(find_file(upload.pk))
    plain_symbol = upload.symbol.removesuffix(PRIVATE_SUFFIX)
    facts = FileFacts(upload.market, plain_symbol, SeriesKind.TRADE.value, upload.timeframe or "1m")
    candles = parse_candles(source, facts)
    timeframe = upload.timeframe or sniff_timeframe(source.name, candles.open_ms)
    report = check_rows(candles, timeframe, SeriesKind.TRADE.value)
    if report.verdict is Verdict.REFUSED:
        raise refuse_rows(source, report)
    origin = Source(upload.file_name, source.sha256, len(candles), report.n_duplicates, report.n_out_of_order)
    series, changes = _store(upload, timeframe, origin, candles)
    upload.succeed(
        series=series, timeframe=timeframe, n_rows=len(candles), report=report.to_json(), log=_tell(report, changes)
    )


def _store(upload: Upload, timeframe: str, source: Source, candles: CandleArrays) -> tuple[Series, list[SegmentChange]]:
    """All of it or, where the quota says no, nothing."""
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=upload.owner_id)  # one upload of a user after the other
        instrument = ensure_private_instrument(upload.owner, upload.market, upload.symbol, upload.rules_from, candles)
        key = SeriesKey(
            upload.market,
            upload.symbol,
            SeriesKind.TRADE.value,
            timeframe,
            SeriesOrigin.UPLOADED.value,
            upload.owner_id,
        )
        changes = store_rows(candle_store(), key, [(source, candles)])
        check_use(upload.owner)
        series = Series.objects.get(instrument=instrument, kind=SeriesKind.TRADE, timeframe=timeframe)
    return series, changes


def _tell(report: QualityReport, changes: list[SegmentChange]) -> str:
    lines = [f"{report.n_rows:,} rows" + (f": {summary}" if (summary := report.summary()) else "")]
    for change in changes:
        line = f"{change.month:%Y-%m}: {change.change.value}, {change.n_rows:,} rows, revision {change.revision}"
        lines.append(f"{line} ({change.quality})" if change.quality else line)
    return "\n".join(lines)
