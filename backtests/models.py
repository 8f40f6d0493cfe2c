"""A backtest run: a request, its life as a row, and a pointer to its result files.

The row is the truth about a run's life; queue messages carry only its id. Every transition is a guarded
UPDATE: zero rows means "not mine".
"""

import uuid
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from strategies.models import StrategyVersion

if TYPE_CHECKING:
    from accounts.models import User


class BacktestRunQuerySet(models.QuerySet["BacktestRun"]):
    def visible_to(self, user: "User") -> "BacktestRunQuerySet":
        return self.filter(owner=user)


class BacktestRun(models.Model):
    class Status(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    TERMINAL: ClassVar = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="backtest_runs")
    strategy_version = models.ForeignKey(StrategyVersion, on_delete=models.PROTECT, related_name="backtest_runs")

    # The request, validated (engine.request.RunRequest.to_json), and what lists filter on.
    request = models.JSONField()
    market = models.CharField(max_length=8)
    symbol = models.CharField(max_length=32)
    timeframe = models.CharField(max_length=4)
    from_ms = models.BigIntegerField()
    to_ms = models.BigIntegerField()
    data_revision = models.CharField(max_length=64, blank=True)

    # Life.
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    attempt = models.PositiveSmallIntegerField(default=0)
    token = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True)
    dispatched_at = models.DateTimeField(null=True, blank=True)
    cancel_requested = models.BooleanField(default=False)
    stage = models.CharField(max_length=16, blank=True)
    progress = models.JSONField(default=dict, help_text="n_done, n_total, bars_per_s, eta_s, equity, log (last lines).")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    # Outcome.
    failure_code = models.CharField(max_length=32, blank=True)
    failure = models.JSONField(
        null=True, blank=True, help_text="message, line, source_line, bar_time_ms, traceback, log."
    )
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
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status__in=["queued", "running"], finished_at__isnull=True)
                | Q(status__in=["succeeded", "failed", "cancelled"], finished_at__isnull=False),
                name="backtests_run_finished_iff_finished_at",
            ),
            models.CheckConstraint(
                condition=~Q(status="running") | Q(token__isnull=False, lease_until__isnull=False, attempt__gte=1),
                name="backtests_run_running_has_lease",
            ),
            models.CheckConstraint(
                condition=~Q(status="failed") | ~Q(failure_code=""), name="backtests_run_failed_has_code"
            ),
            models.CheckConstraint(
                condition=~Q(status="succeeded") | ~Q(result_hash=""), name="backtests_run_succeeded_has_hash"
            ),
            models.CheckConstraint(condition=Q(from_ms__lt=F("to_ms")), name="backtests_run_span"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.timeframe} {self.status}"

    @property
    def is_finished(self) -> bool:
        return self.status in self.TERMINAL
