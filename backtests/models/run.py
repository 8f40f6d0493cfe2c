"""A backtest run: a request, its life as a row, and a pointer to its result files.

The row is the truth about a run's life; queue messages carry only its id. marketdata/work_rows.py has what it shares
with other work.

    queued --claim--> running --finish--> succeeded
       ^                 |-----fail-----> failed
       |<-give_back, lose|--acknowledge_cancel--> cancelled
       |<--requeue_lost--|
"""

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Case, F, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Now

from marketdata.work_rows import QUEUED_AGAIN, TERMINAL, WorkQuerySet, WorkStatus, over
from strategies.models import StrategyVersion

if TYPE_CHECKING:
    from accounts.models import User

LEASE = timedelta(seconds=8)
MAX_LOST = 3  # a run whose worker disappeared this many times is failed, since it may be what kills the workers
LOST = {
    "code": "lost",
    "message": f"The worker disappeared {MAX_LOST} times while it ran this. It may use more memory than the machine "
    "has: shorten the span or ask for less at a time, then run it again.",
}


class BacktestRunQuerySet(WorkQuerySet["BacktestRun"]):
    def visible_to(self, user: "User") -> "BacktestRunQuerySet":
        return self.filter(owner=user)

    def latest_of_each_strategy(self) -> "BacktestRunQuerySet":
        """The run of each strategy that succeeded last."""
        succeeded = self.filter(status=BacktestRun.Status.SUCCEEDED)
        newest = succeeded.filter(strategy_version__strategy=OuterRef("strategy_version__strategy"))
        return succeeded.filter(pk=Subquery(newest.order_by("-finished_at", "-id").values("pk")[:1]))

    def waiting(self) -> "BacktestRunQuerySet":
        """Queued, and no message was sent for them."""
        return self.filter(status=BacktestRun.Status.QUEUED, dispatched_at__isnull=True)

    def in_flight(self) -> "BacktestRunQuerySet":
        """Those that occupy a worker or are about to: they run, or a message for them is under way."""
        is_running = Q(status=BacktestRun.Status.RUNNING, lease_until__gte=Now())
        return self.filter(is_running | Q(status=BacktestRun.Status.QUEUED, dispatched_at__isnull=False))

    def overdue(self, since: timedelta) -> "BacktestRunQuerySet":
        """Queued with a message that is older than `since`: it waits behind others, or it died with a cluster."""
        return self.filter(status=BacktestRun.Status.QUEUED, dispatched_at__lt=Now() - since)

    def claim(self, run_id: uuid.UUID | str) -> "BacktestRun | None":
        """Make a queued run, or one whose lease ran out, ours for one lease. None: a duplicate message, or cancelled.

        Of any number of callers at the same time exactly one gets the run.
        """
        token = uuid.uuid4()
        is_expired = Q(status=BacktestRun.Status.RUNNING, lease_until__lt=Now(), n_lost__lt=MAX_LOST - 1)
        n_rows = self.filter(
            Q(status=BacktestRun.Status.QUEUED) | is_expired, pk=run_id, cancel_requested=False
        ).update(
            n_lost=Case(
                When(status=BacktestRun.Status.RUNNING, then=F("n_lost") + 1),
                default=F("n_lost"),
                output_field=models.PositiveSmallIntegerField(),
            ),
            status=BacktestRun.Status.RUNNING,
            attempt=F("attempt") + 1,
            token=token,
            lease_until=Now() + Value(LEASE),
            started_at=Now(),
            stage="loading",
            progress={},
        )
        # With all that an attempt needs to know: it must not have to ask a database that restarts meanwhile.
        claimed = self.select_related("owner", "strategy_version__strategy").filter(pk=run_id, token=token)
        return claimed.first() if n_rows else None

    def requeue_lost(self) -> int:
        """Queue again every run whose lease ran out, unless it was lost too often. Returns how many."""
        return (
            self.expired()
            .filter(cancel_requested=False, n_lost__lt=MAX_LOST - 1)
            .update(n_lost=F("n_lost") + 1, **QUEUED_AGAIN)
        )

    def fail_lost(self) -> int:
        """Fail, with the cause, every run whose lease ran out for the last time. Returns how many."""
        return (
            self.expired()
            .filter(cancel_requested=False, n_lost__gte=MAX_LOST - 1)
            .update(
                status=BacktestRun.Status.FAILED,
                n_lost=F("n_lost") + 1,
                failure_code=LOST["code"],
                failure=LOST,
                **over(),
            )
        )

    def cancel_lost(self) -> int:
        """End every run that was to be cancelled and whose worker is gone. Returns how many."""
        return self.expired().filter(cancel_requested=True).update(status=BacktestRun.Status.CANCELLED, **over())

    def requeue(self) -> int:
        """Staff's second chance for runs that run, failed or were cancelled. A worker that holds one loses it."""
        again = (BacktestRun.Status.RUNNING, BacktestRun.Status.FAILED, BacktestRun.Status.CANCELLED)
        return self.filter(status__in=again).update(
            n_lost=0, cancel_requested=False, failure_code="", failure=None, finished_at=None, **QUEUED_AGAIN
        )


class BacktestRun(models.Model):
    Status = WorkStatus

    class Mode(models.TextChoices):
        DRAFT = "draft", "Draft"
        SEALED = "sealed", "Sealed"

    class Priority(models.IntegerChoices):
        INTERACTIVE = 0, "Interactive"  # somebody looks on
        STUDY = 1, "Study"  # one of many

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="backtest_runs")
    strategy_version = models.ForeignKey(StrategyVersion, on_delete=models.PROTECT, related_name="backtest_runs")

    # The request, validated (engine.request.RunRequest.to_json), and what lists filter on.
    request = models.JSONField()
    market = models.CharField(max_length=8)
    symbol = models.CharField(max_length=32)
    timeframe = models.CharField(max_length=4)
    mode = models.CharField(max_length=8, choices=Mode, default=Mode.DRAFT)
    from_ms = models.BigIntegerField()
    to_ms = models.BigIntegerField()
    data_revision = models.CharField(max_length=64, blank=True)
    run_data = models.JSONField(default=dict, help_text="The pinned snapshot of the data (marketdata's RunData).")

    # Life.
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    priority = models.PositiveSmallIntegerField(choices=Priority, default=Priority.INTERACTIVE)
    attempt = models.PositiveSmallIntegerField(default=0)
    n_lost = models.PositiveSmallIntegerField(default=0, help_text="How many attempts ended because the worker died.")
    token = models.UUIDField(null=True, blank=True, editable=False, help_text="The attempt that holds or ended it.")
    lease_until = models.DateTimeField(null=True, blank=True)
    dispatched_at = models.DateTimeField(null=True, blank=True)
    cancel_requested = models.BooleanField(default=False)
    stage = models.CharField(max_length=16, blank=True)
    progress = models.JSONField(default=dict, help_text="As runner.outcome.Progress.to_json gives it.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    # Outcome.
    failure_code = models.CharField(max_length=32, blank=True)
    failure = models.JSONField(null=True, blank=True, help_text="As runner.outcome.Failure.to_json gives it.")
    summary = models.JSONField(default=dict, help_text="Metrics and counts: what lists and the API show without files.")
    is_ruined = models.BooleanField(default=False)
    result_hash = models.CharField(max_length=64, blank=True)
    artifact_dir = models.CharField(max_length=120, blank=True)
    jail_level = models.CharField(max_length=8, blank=True)

    objects = BacktestRunQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["owner", "-created_at"], name="backtests_run_owner_recent"),
            models.Index(fields=["status", "lease_until"], name="backtests_run_lease"),
            models.Index(fields=["priority", "created_at"], condition=Q(status="queued"), name="backtests_run_waiting"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status__in=["queued", "running"], finished_at__isnull=True)
                | Q(status__in=["succeeded", "failed", "cancelled"], finished_at__isnull=False),
                name="backtests_run_finished_iff_finished_at",
            ),
            models.CheckConstraint(
                condition=Q(status="running", token__isnull=False, lease_until__isnull=False, attempt__gte=1)
                | (~Q(status="running") & Q(lease_until__isnull=True)),
                name="backtests_run_lease_iff_running",
            ),
            models.CheckConstraint(
                condition=~Q(status="queued") | Q(token__isnull=True), name="backtests_run_queued_is_free"
            ),
            models.CheckConstraint(
                condition=Q(status="failed") & ~Q(failure_code="") | ~Q(status="failed") & Q(failure_code=""),
                name="backtests_run_failed_iff_code",
            ),
            models.CheckConstraint(
                condition=~Q(status="cancelled") | Q(cancel_requested=True), name="backtests_run_cancelled_on_request"
            ),
            models.CheckConstraint(
                condition=Q(status="succeeded", cancel_requested=False) & ~Q(result_hash="") & ~Q(artifact_dir="")
                | ~Q(status="succeeded") & Q(result_hash="", artifact_dir=""),
                name="backtests_run_succeeded_iff_result",
            ),
            models.CheckConstraint(condition=Q(from_ms__lt=F("to_ms")), name="backtests_run_span"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.timeframe} {self.status}"

    @property
    def is_finished(self) -> bool:
        return self.status in TERMINAL

    # Transitions of an attempt: only the holder of attempt and token, as `claim` returned them, can make them.

    def _mine(self) -> BacktestRunQuerySet:
        return BacktestRun.objects.filter(
            pk=self.pk, status=self.Status.RUNNING, attempt=self.attempt, token=self.token
        )

    def beat(self, stage: str = "", progress: dict[str, Any] | None = None) -> bool:
        """Renew the lease and carry the progress. False: cancelled, or no longer ours: stop working on it."""
        news: dict[str, Any] = {"stage": stage} if stage else {}
        if progress is not None:
            news["progress"] = progress
        return bool(self._mine().filter(cancel_requested=False).update(lease_until=Now() + Value(LEASE), **news))

    def finish(
        self, *, artifact_dir: str, result_hash: str, summary: dict[str, Any], is_ruined: bool, jail_level: str
    ) -> bool:
        """Make the files in `artifact_dir` the result. False: this attempt came too late, its files are nobody's."""
        return bool(
            self._mine()
            .filter(cancel_requested=False)
            .update(
                status=self.Status.SUCCEEDED,
                artifact_dir=artifact_dir,
                result_hash=result_hash,
                summary=summary,
                is_ruined=is_ruined,
                jail_level=jail_level,
                **over(),
            )
        )

    def fail(self, code: str, failure: dict[str, Any], *, jail_level: str = "") -> bool:
        return bool(
            self._mine()
            .filter(cancel_requested=False)
            .update(status=self.Status.FAILED, failure_code=code, failure=failure, jail_level=jail_level, **over())
        )

    def acknowledge_cancel(self) -> bool:
        """End a run whose cancellation its worker has seen."""
        return bool(self._mine().filter(cancel_requested=True).update(status=self.Status.CANCELLED, **over()))

    def lose(self) -> bool:
        """Queue it again because something outside ended it. False: lost too often, or no longer ours."""
        may_run_again = self._mine().filter(cancel_requested=False, n_lost__lt=MAX_LOST - 1)
        return bool(may_run_again.update(n_lost=F("n_lost") + 1, **QUEUED_AGAIN))

    def give_back(self) -> bool:
        """Queue it again because this worker is told to stop; that is no loss and counts for nothing."""
        return bool(self._mine().filter(cancel_requested=False).update(**QUEUED_AGAIN))
