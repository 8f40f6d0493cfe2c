"""What keeps runs from being lost: idempotent, safe to run any number of times, anywhere, at the same time."""

import logging
import math
import threading
import time
from dataclasses import dataclass

from django.db import connections
from django.db.models import Max

from backtests.models import BacktestRun
from backtests.operations.dispatcher import dispatch, has_idle_workers
from backtests.operations.housekeeping import keep_house
from backtests.operations.version_checks import dispatch_checks
from marketdata.jobs.dispatch import reap_jobs

logger = logging.getLogger(__name__)

PERIOD_S = 1.0
GRACE_S = 3.0  # beats come each second, so that by then every worker that lives has been heard of
HOUSEKEEPING_EVERY_S = 600.0


@dataclass(frozen=True, slots=True)
class Reaped:
    """How many runs were put right, and how."""

    n_requeued: int = 0
    n_failed: int = 0
    n_cancelled: int = 0
    n_dispatched: int = 0
    n_ingest_jobs: int = 0


def reap(*, may_judge: bool = True) -> Reaped:
    """Put runs right whose worker is gone, unless it may not judge that now, and send the messages that are missing."""
    n_requeued = n_failed = n_cancelled = 0
    if may_judge and BacktestRun.objects.expired().exists():  # a write lock each second would be felt on SQLite
        n_cancelled = BacktestRun.objects.cancel_lost()
        n_failed = BacktestRun.objects.fail_lost()
        n_requeued = BacktestRun.objects.requeue_lost()
    reaped = Reaped(n_requeued, n_failed, n_cancelled, dispatch(), reap_jobs(may_judge=may_judge))
    if reaped != Reaped():
        logger.info("Reaped: %s", reaped)
    return reaped


class Reaper:
    """Reaps each second and keeps house now and then, whatever happens.

    `idle_s`: for how long messages have lain there although a worker was free; 0.0 while all is well.
    """

    def __init__(self) -> None:
        self.idle_s = 0.0
        self._idle_since: float | None = None
        self._newest_start: object = None

    def run_until(self, stop: threading.Event) -> None:
        next_housekeeping = 0.0
        well_since, last_at = -math.inf, time.monotonic()
        while not stop.is_set():
            now = time.monotonic()
            if now - last_at > 3 * PERIOD_S:  # the database was away, or we were: workers must be heard before judged
                well_since = now
            try:
                reap(may_judge=now - well_since > GRACE_S)
                dispatch_checks(may_judge=now - well_since > GRACE_S)
                self._watch_idleness()
                if now >= next_housekeeping:
                    keep_house()
                    next_housekeeping = now + HOUSEKEEPING_EVERY_S
                last_at = time.monotonic()
            except Exception:
                logger.exception("The reaper failed; it goes on.")
                connections.close_all()
            stop.wait(PERIOD_S)
        connections.close_all()

    def _watch_idleness(self) -> None:
        newest = BacktestRun.objects.aggregate(newest=Max("started_at"))["newest"]
        now = time.monotonic()
        if newest != self._newest_start or not has_idle_workers():
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        self._newest_start = newest
        self.idle_s = 0.0 if self._idle_since is None else now - self._idle_since
