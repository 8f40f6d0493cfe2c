"""The look-ahead and determinism check of a strategy's version: one row per version, and its verdict.

    pending --claim--> running --finish--> passed, looks_ahead, not_deterministic, no_orders or failed
       ^                  |
       |<-give_back, lose-|          any end --request_again--> pending

As with runs, every transition is a guarded UPDATE: a message delivered twice finds nothing to claim.
"""

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Now

from strategies.models import StrategyVersion

if TYPE_CHECKING:
    from accounts.models import User

LEASE = timedelta(seconds=60)
MAX_LOST = 3
OVERDUE = timedelta(seconds=60)  # a message this old waits behind runs, or died with a cluster
_FREE: dict[str, Any] = {"token": None, "lease_until": None, "dispatched_at": None}


class VersionCheckQuerySet(models.QuerySet["VersionCheck"]):
    def visible_to(self, user: "User") -> "VersionCheckQuerySet":
        return self.filter(version__strategy__owner=user)

    def claim(self, version_id: uuid.UUID | str) -> "VersionCheck | None":
        """Make a pending check ours for one lease. None: a duplicate message, or checked by now."""
        version_id, token = uuid.UUID(str(version_id)), uuid.uuid4()
        n_rows = self.filter(pk=version_id, status=VersionCheck.Status.PENDING).update(
            status=VersionCheck.Status.RUNNING, token=token, lease_until=Now() + Value(LEASE)
        )
        return self.select_related("version__strategy__owner").get(pk=version_id, token=token) if n_rows else None

    def request_again(self) -> int:
        """Let finished checks be made anew; those that wait or run already are left alone."""
        ended = self.exclude(status__in=(VersionCheck.Status.PENDING, VersionCheck.Status.RUNNING))
        return ended.update(
            status=VersionCheck.Status.PENDING, requested_at=Now(), n_lost=0, checked_at=None, verdict={}, **_FREE
        )

    def lose_expired(self) -> int:
        """Let those be made again whose worker is gone; after the third time they have failed."""
        expired = self.filter(status=VersionCheck.Status.RUNNING, lease_until__lt=Now())
        n_failed = expired.filter(n_lost__gte=MAX_LOST - 1).update(
            status=VersionCheck.Status.FAILED, verdict={"failure": LOST}, checked_at=Now(), **_FREE
        )
        return n_failed + expired.update(status=VersionCheck.Status.PENDING, n_lost=F("n_lost") + 1, **_FREE)

    def in_flight(self) -> "VersionCheckQuerySet":
        """Those that occupy a worker or are about to."""
        runs = Q(status=VersionCheck.Status.RUNNING, lease_until__gte=Now())
        return self.filter(runs | Q(status=VersionCheck.Status.PENDING, dispatched_at__gte=Now() - OVERDUE))


LOST = {
    "code": "lost",
    "message": f"The worker disappeared {MAX_LOST} times during the check. The strategy may use more memory than the "
    "machine has.",
}


class VersionCheck(models.Model):
    class Status(models.TextChoices):
        PENDING = "pending"
        RUNNING = "running"
        PASSED = "passed"
        LOOKS_AHEAD = "looks_ahead"
        NOT_DETERMINISTIC = "not_deterministic"
        NO_ORDERS = "no_orders"
        FAILED = "failed"

    version = models.OneToOneField(
        StrategyVersion, on_delete=models.CASCADE, primary_key=True, related_name="lookahead_check"
    )
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.PENDING)
    requested_at = models.DateTimeField(db_default=Now())
    dispatched_at = models.DateTimeField(null=True, blank=True)
    token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    n_lost = models.PositiveSmallIntegerField(default=0)
    checked_at = models.DateTimeField(null=True, blank=True)
    verdict = models.JSONField(default=dict, help_text="As runner.lookahead.Verdict.to_json gives it; data, seconds.")
    jail_level = models.CharField(max_length=8, blank=True)

    objects = VersionCheckQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["requested_at"], condition=Q(status__in=["pending", "running"]), name="backtests_check_waiting"
            )
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status="running", token__isnull=False, lease_until__isnull=False)
                | ~Q(status="running") & Q(token__isnull=True, lease_until__isnull=True),
                name="backtests_check_lease_iff_running",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["pending", "running"], checked_at__isnull=True)
                | ~Q(status__in=["pending", "running"]) & Q(checked_at__isnull=False),
                name="backtests_check_ended_iff_checked_at",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version_id}: {self.status}"

    @property
    def is_finished(self) -> bool:
        return self.status not in (self.Status.PENDING, self.Status.RUNNING)

    def _mine(self) -> VersionCheckQuerySet:
        return VersionCheck.objects.filter(pk=self.pk, status=self.Status.RUNNING, token=self.token)

    def beat(self) -> bool:
        """Renew the lease. False: no longer ours."""
        return bool(self._mine().update(lease_until=Now() + Value(LEASE)))

    def finish(self, status: str, verdict: dict[str, Any], *, jail_level: str = "") -> bool:
        """Note the verdict. False: this attempt came too late, and changed nothing."""
        return bool(
            self._mine().update(status=status, verdict=verdict, jail_level=jail_level, checked_at=Now(), **_FREE)
        )

    def give_back(self) -> bool:
        """Let it be made later, since a run needs this worker or the worker ends."""
        return bool(self._mine().update(status=self.Status.PENDING, **_FREE))

    def lose(self) -> bool:
        """Let it be made again because something outside ended it. False: lost too often, or no longer ours."""
        may_go_on = self._mine().filter(n_lost__lt=MAX_LOST - 1)
        return bool(may_go_on.update(status=self.Status.PENDING, n_lost=F("n_lost") + 1, **_FREE))
