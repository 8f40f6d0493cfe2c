"""Rows that a process works on for a while: what the lives of ingest jobs and backtest runs have in common.

    queued --claim--> running --> succeeded, failed, cancelled

Every transition is a guarded UPDATE that says in its WHERE what it expects to find: zero rows means "not mine", and
changes nothing. Only the database's clock counts, so that hosts may disagree about the time. The process that works on
a row holds its token, and renews its lease while it lives.
"""

from typing import Any, Self

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Now


class WorkStatus(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


TERMINAL = (WorkStatus.SUCCEEDED, WorkStatus.FAILED, WorkStatus.CANCELLED)

QUEUED_AGAIN: dict[str, Any] = {
    "status": WorkStatus.QUEUED,
    "token": None,
    "lease_until": None,
    "dispatched_at": None,
    "stage": "",
    "progress": {},
}


def over() -> dict[str, Any]:
    """What every end sets: the database's time of it, and no lease."""
    return {"finished_at": Now(), "lease_until": None, "stage": ""}


class WorkQuerySet[Row: models.Model](models.QuerySet[Row]):
    def active(self) -> Self:
        """Those that are not finished."""
        return self.filter(status__in=(WorkStatus.QUEUED, WorkStatus.RUNNING))

    def finished(self) -> Self:
        return self.filter(status__in=TERMINAL)

    def expired(self) -> Self:
        """Running by their rows, but their process has not been heard of for a whole lease."""
        return self.filter(status=WorkStatus.RUNNING, lease_until__lt=Now())

    def request_cancel(self) -> int:
        """Cancel these: queued ones at once, running ones at their next beat. Finished ones do not change."""
        is_queued = Q(status=WorkStatus.QUEUED)
        return (
            self.active()
            .filter(cancel_requested=False)
            .update(
                cancel_requested=True,
                status=Case(When(is_queued, then=Value(WorkStatus.CANCELLED)), default=F("status")),
                finished_at=Case(When(is_queued, then=Now()), default=None),
            )
        )
