"""Every saved version is checked once, in the background: one check at a time, and never before a waiting run."""

import logging
import time
from typing import Literal

from django.conf import settings
from django.db.models.functions import Now
from django_q.tasks import async_task

from backtests.models import BacktestRun, VersionCheck, WorkerPool
from backtests.operations.check_job import build_check_job
from backtests.operations.line import choose_next
from backtests.runner.jailed_check import CheckStopped, check_in_jail
from backtests.runner.outcome import KILLED
from marketdata.jobs.dispatch import count_busy_workers
from marketdata.jobs.sigterm import stop_on_sigterm
from strategies.models import StrategyVersion

logger = logging.getLogger(__name__)

TASK = "backtests.tasks.check_version"
MAX_S = 300  # all runs of one check together; the queue takes whole seconds
BEAT_EVERY_S = 5.0
LOOK_EVERY_S = 0.3  # whether a run waits for this worker
N_NEWEST = 100  # versions that are looked at each second; all of them now and then
INTERNAL = {"code": "internal", "message": "Something went wrong on our side, not in your strategy. Check it again."}

type StopReason = Literal["", "not_ours", "shutdown", "a run waits"]


class Turn:
    """A check's time on a worker: it renews the lease, and ends when a run needs the worker."""

    def __init__(self, check: VersionCheck) -> None:
        self.stop_reason: StopReason = ""
        self._check = check
        self._next_beat_at = self._next_look_at = 0.0

    def ask_to_stop(self) -> None:
        self.stop_reason = self.stop_reason or "shutdown"

    def go_on(self) -> bool:
        now = time.monotonic()
        if not self.stop_reason and now >= self._next_beat_at:
            self._next_beat_at = now + BEAT_EVERY_S
            if not self._check.beat():
                self.stop_reason = "not_ours"
        if not self.stop_reason and now >= self._next_look_at:
            self._next_look_at = now + LOOK_EVERY_S
            if is_run_waiting():
                self.stop_reason = "a run waits"
        return not self.stop_reason


def make_check(check: VersionCheck) -> None:
    """Make a claimed check and note its verdict, or give it back, whatever happens."""
    turn = Turn(check)
    with stop_on_sigterm(turn):  # around its every end: the signal comes through behind it
        _make_check(check, turn)


def _make_check(check: VersionCheck, turn: Turn) -> None:
    started_s = time.monotonic()
    try:
        job, data = build_check_job(check.version)
        verdict, level = check_in_jail(job, turn.go_on, max_s=MAX_S)
        if verdict.failure is not None and verdict.failure.code == KILLED and check.lose():
            return
        facts = {**verdict.to_json(), "data": data, "seconds": round(time.monotonic() - started_s, 1)}
        check.finish(verdict.name, facts, jail_level=level)
    except CheckStopped:
        check.give_back()
    except SystemExit:  # the queue's own time limit, far above the check's
        failure = {"code": "time_limit", "message": "The check did not end in time and was stopped."}
        check.finish(VersionCheck.Status.FAILED, {"failure": failure})
        raise
    except Exception:
        logger.exception("The check of version %s failed.", check.pk)
        check.finish(VersionCheck.Status.FAILED, {"failure": INTERNAL})


def dispatch_checks(*, may_judge: bool = True) -> int:
    """Note new versions, free checks whose worker is gone, and send one message if a worker is idle. Idempotent."""
    n_lost = VersionCheck.objects.lose_expired() if may_judge and _has_expired() else 0
    note_versions(N_NEWEST)
    if not settings.CHECKS_VERSIONS or VersionCheck.objects.in_flight().exists() or not _has_idle_worker():
        return n_lost
    waiting = VersionCheck.objects.filter(status=VersionCheck.Status.PENDING)
    check = waiting.order_by("-requested_at").first()  # who has just saved looks at the page
    if check is None:
        return n_lost
    async_task(TASK, str(check.pk), timeout=MAX_S + settings.QUEUE_MARGIN_S)
    waiting.filter(pk=check.pk).update(dispatched_at=Now())
    return n_lost + 1


def note_versions(n_newest: int | None = None) -> None:
    """Rows for versions that have none: of the newest ones, or of all."""
    recent = StrategyVersion.objects.order_by("-created_at").values_list("pk", flat=True)[:n_newest]
    new = StrategyVersion.objects.filter(lookahead_check__isnull=True)
    if n_newest is not None:
        new = new.filter(pk__in=list(recent))
    missing = [VersionCheck(version_id=pk) for pk in new.values_list("pk", flat=True)[:1_000]]
    if missing:
        VersionCheck.objects.bulk_create(missing, ignore_conflicts=True)


def is_run_waiting() -> bool:
    """Whether a run could start if it had this worker."""
    return BacktestRun.objects.waiting().exists() and bool(choose_next(1))


def _has_idle_worker() -> bool:
    n_workers = WorkerPool.objects.count_workers() or settings.N_WORKERS
    return n_workers > BacktestRun.objects.in_flight().count() + count_busy_workers() and not is_run_waiting()


def _has_expired() -> bool:
    """A write lock each second would be felt on SQLite."""
    return VersionCheck.objects.filter(status=VersionCheck.Status.RUNNING, lease_until__lt=Now()).exists()
