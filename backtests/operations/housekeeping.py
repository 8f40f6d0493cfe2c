"""What nobody needs any more goes away: result and candle files that no row names, sessions, pools and jobs of old."""

import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from importlib import import_module
from itertools import batched

from django.conf import settings
from django.db.models.functions import Now

from backtests import artifacts
from backtests.models import BacktestRun, WorkerPool
from backtests.operations.version_checks import note_versions
from backtests.pins import find_pinned
from marketdata.home import candle_store
from marketdata.models import IngestJob
from marketdata.store import StoreError
from marketdata.sweeping import Swept, sweep_candles
from marketdata.uploads.service import keep_uploads

logger = logging.getLogger(__name__)

SWEEP_GRACE_S = 3600.0  # far longer than an attempt needs between the first file it writes and its commit
KEEP_POOLS = timedelta(days=1)
SWEEP_CANDLES_EVERY_S = 86_400.0


def keep_house() -> int:
    """Safe to run any number of times, anywhere. Returns how many result folders it deleted."""
    WorkerPool.objects.filter(seen_at__lt=Now() - KEEP_POOLS).delete()
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    sweep_candles_daily()
    keep_uploads()
    note_versions()
    IngestJob.objects.drop_old()
    return sweep_artifacts()


def sweep_candles_daily() -> bool:
    """Sweep the candle files if this host has not done so for a day. False: not now, or the store does not answer."""
    store = candle_store()
    mark = store.cache.folder / ".swept"
    try:
        if mark.is_file() and time.time() - mark.stat().st_mtime < SWEEP_CANDLES_EVERY_S:
            return False
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        swept = sweep_candles(store, find_pinned)
    except (StoreError, OSError) as error:
        logger.warning("The candle files were not swept: %s", error)
        return False
    if swept != Swept():
        logger.info("Swept the candle files: %s", swept)
    return True


def sweep_artifacts(grace_s: float = SWEEP_GRACE_S) -> int:
    """Delete result folders that no row names and nobody has written to for `grace_s`. Returns how many."""
    n_swept = 0
    # Folders first, rows second: a folder that becomes a result in between is then seen as one.
    for folders in batched(_find_old_folders(grace_s), 500):
        named = set(BacktestRun.objects.filter(artifact_dir__in=folders).values_list("artifact_dir", flat=True))
        doomed = [folder for folder in folders if folder not in named]
        for folder in doomed:
            artifacts.delete_attempt(folder)
        n_swept += len(doomed)
    return n_swept


def _find_old_folders(grace_s: float) -> Iterator[str]:
    """Folders of attempts, finished or not, that nobody has written to for `grace_s`; as a row would name them."""
    old_before = time.time() - grace_s
    for folder in artifacts.root().glob("*/*/"):
        with suppress(FileNotFoundError):  # another reaper swept it
            if folder.stat().st_mtime < old_before:
                yield f"{folder.parent.name}/{folder.name}"
