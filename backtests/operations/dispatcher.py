"""Gets waiting runs to the workers, one for each worker that is free and no more, so that whoever is next in the line
gets the next worker. A message carries a run's id and nothing else; the claim decides who runs it.

A message too many is harmless, a message too few is sent again here. Any number of hosts may dispatch at any time: they
take turns.
"""

import logging
import uuid
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from django_q.brokers import get_broker
from django_q.tasks import async_task

from accounts.quotas import limits_of
from backtests.models import BacktestRun, VersionCheck, WorkerPool
from backtests.operations.line import choose_next
from marketdata.jobs.dispatch import count_busy_workers

logger = logging.getLogger(__name__)

TASK = "backtests.tasks.run_backtest"
OVERDUE = timedelta(seconds=2)  # a free worker takes a message within a tenth of that

_LOCK = 0x68696E64  # of this kind of work, among all who use the database
_LOCK_TIMEOUT_MS = 2000


def dispatch() -> int:
    """Send the messages of as many waiting runs as there are free workers. Returns how many.

    Call it when a run is requested, when a worker becomes free, and once in a while.
    """
    if not BacktestRun.objects.waiting().exists() and not BacktestRun.objects.overdue(OVERDUE).exists():
        return 0
    with transaction.atomic():
        _await_turn()
        n_workers = WorkerPool.objects.count_workers() or settings.N_WORKERS  # none yet: one is about to start
        n_workers -= (
            count_busy_workers() + VersionCheck.objects.in_flight().count()
        )  # with candles, with checks of versions
        n_sent = _send_again(n_workers)
        chosen = choose_next(n_workers - BacktestRun.objects.in_flight().count())
        for run_id in chosen:
            _send(run_id)
    return n_sent + len(chosen)


def has_idle_workers() -> bool:
    """Whether a message has waited for longer than it should although there is a worker that has nothing to do."""
    if not BacktestRun.objects.filter(status=BacktestRun.Status.QUEUED, dispatched_at__isnull=False).exists():
        return False
    running = BacktestRun.objects.in_flight().filter(status=BacktestRun.Status.RUNNING).count()
    return (
        running + count_busy_workers() + VersionCheck.objects.in_flight().count() < WorkerPool.objects.count_workers()
    )


def dispatch_quietly() -> None:
    """Dispatch as a courtesy to those who wait: the reaper does it anyway, a second later."""
    try:
        dispatch()
    except Exception:
        logger.exception("Waiting runs were not sent to the workers; the reaper tries again.")


def _send_again(n_workers: int) -> int:
    """Send what died with a cluster: messages that nobody took although there is a free worker and nothing before them.

    A message that a killed cluster had already taken stays locked in the broker, and looks like one that waits.
    """
    overdue = BacktestRun.objects.overdue(OVERDUE).order_by("dispatched_at").values_list("id", flat=True)
    run_ids = list(overdue[:n_workers])
    running = BacktestRun.objects.in_flight().filter(status=BacktestRun.Status.RUNNING)
    if not run_ids or running.count() >= n_workers or get_broker().queue_size():
        return 0
    for run_id in run_ids:
        _send(run_id)
    return len(run_ids)


def _send(run_id: uuid.UUID) -> None:
    run = BacktestRun.objects.select_related("owner").filter(pk=run_id, status=BacktestRun.Status.QUEUED).first()
    if run is None:  # cancelled or claimed in the meantime
        return
    # The queue's time limit is the last resort, well above the one that the run itself has.
    async_task(TASK, str(run_id), timeout=limits_of(run.owner).run_wall_clock_s + settings.QUEUE_MARGIN_S)
    BacktestRun.objects.filter(pk=run_id, status=BacktestRun.Status.QUEUED).update(dispatched_at=Now())


def _await_turn() -> None:
    """SQLite has one writer anyway."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{_LOCK_TIMEOUT_MS}ms"])
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
