"""An ingest job: a fetch from the exchange's archive, or an import of files, its life as a row, and what came of it.

The row is the truth about a job's life; queue messages carry only its id. work_rows.py has what it shares with other
work.

    queued --claim--> running --end--> succeeded, failed
       ^                 |---cancel--> cancelled
       |<---give_back----|
       |<---requeue (somebody resumes it)--- failed, cancelled

A job whose process disappears is failed once its lease ran out. What it has taken in by then stays, and a resumed job
goes on behind it.
"""

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, Q, Value
from django.db.models.functions import Now

from marketdata.work_rows import QUEUED_AGAIN, TERMINAL, WorkQuerySet, WorkStatus, over

if TYPE_CHECKING:
    from accounts.models import User

LEASE = timedelta(seconds=60)  # longer than the largest file takes to read, since that is one step
KEEP = timedelta(days=90)  # a finished job
LOST = {
    "failure_code": "lost",
    "failure": "The process that worked on it disappeared. Resume it: what was taken in by then is not fetched again.",
}


class IngestJobQuerySet(WorkQuerySet["IngestJob"]):
    def visible_to(self, user: "User") -> "IngestJobQuerySet":
        """Staff see every job, others none: what a job takes in is everybody's data."""
        return self.all() if user.is_active and user.is_staff else self.none()

    def waiting(self) -> "IngestJobQuerySet":
        """Queued, the oldest first."""
        return self.filter(status=IngestJob.Status.QUEUED).order_by("created_at", "id")

    def start(self, kind: str, description: str, **fields: Any) -> "IngestJob":
        """A job of this process, running from now on."""
        return self.create(
            kind=kind,
            description=description[:300],
            status=IngestJob.Status.RUNNING,
            attempt=1,
            token=uuid.uuid4(),
            lease_until=Now() + Value(LEASE),
            started_at=Now(),
            **fields,
        )

    def claim(self, job_id: uuid.UUID | str) -> "IngestJob | None":
        """Make a queued job ours for one lease. None: a duplicate message, cancelled, or not its turn.

        Workers take one job at a time, so that the others stay free for runs.
        """
        token = uuid.uuid4()
        another = IngestJob.objects.filter(
            status=IngestJob.Status.RUNNING, dispatched_at__isnull=False, lease_until__gte=Now()
        )
        n_rows = self.filter(
            ~Exists(another), pk=job_id, status=IngestJob.Status.QUEUED, cancel_requested=False
        ).update(
            status=IngestJob.Status.RUNNING,
            attempt=F("attempt") + 1,
            token=token,
            lease_until=Now() + Value(LEASE),
            dispatched_at=Now(),
            started_at=Now(),
            stage="",
            progress={},
            n_files=0,
            n_files_done=0,
            n_rows=0,
        )
        return self.filter(pk=job_id, token=token).first() if n_rows else None

    def requeue(self) -> int:
        """Queue failed and cancelled fetches again. Imports of files cannot be resumed: their files may be gone."""
        again = (IngestJob.Status.FAILED, IngestJob.Status.CANCELLED)
        return (
            self.filter(status__in=again)
            .exclude(request={})
            .update(cancel_requested=False, failure_code="", failure="", finished_at=None, **QUEUED_AGAIN)
        )

    def drop_old(self) -> int:
        """Forget jobs that ended long ago; what they took in stays. Returns how many."""
        old = self.finished().filter(finished_at__lt=Now() - Value(KEEP))
        if not old.exists():  # as below
            return 0
        return old.delete()[0]

    def end_lost(self) -> int:
        """Fail every job whose lease ran out, or cancel it where that was asked for. Returns how many."""
        lost = self.expired()
        if not lost.exists():  # a write lock each second would be felt on SQLite
            return 0
        n_cancelled = lost.filter(cancel_requested=True).update(status=IngestJob.Status.CANCELLED, **over())
        return n_cancelled + lost.filter(cancel_requested=False).update(status="failed", **LOST, **over())


class IngestJob(models.Model):
    Status = WorkStatus

    class Kind(models.TextChoices):
        IMPORT = "import", "Import of files"
        FETCH = "fetch", "Fetch"
        EXTEND = "extend", "Extension"
        REPAIR = "repair", "Repair"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.IMPORT)
    description = models.CharField(max_length=300)
    request = models.JSONField(default=dict, help_text="What is to be fetched; empty for files that were handed over.")

    # Life.
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    attempt = models.PositiveSmallIntegerField(default=0)
    token = models.UUIDField(
        null=True, blank=True, editable=False, help_text="The process that works on it or ended it."
    )
    lease_until = models.DateTimeField(null=True, blank=True)
    dispatched_at = models.DateTimeField(null=True, blank=True, help_text="Empty for commands.")
    cancel_requested = models.BooleanField(default=False)
    stage = models.CharField(max_length=16, blank=True)
    progress = models.JSONField(default=dict, help_text="Bytes and files so far, and what is worked on.")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    # Outcome.
    failure_code = models.CharField(max_length=32, blank=True)
    failure = models.CharField(max_length=500, blank=True)
    outcome = models.JSONField(default=dict, help_text="What is held now of what was asked for, and what is missing.")
    n_files = models.PositiveIntegerField(default=0)
    n_files_done = models.PositiveIntegerField(default=0)
    n_rows = models.PositiveIntegerField(default=0)
    log = models.TextField(blank=True)

    objects = IngestJobQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [models.Index(fields=["status", "lease_until"], name="marketdata_job_lease")]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status__in=["queued", "running"], finished_at__isnull=True)
                | Q(status__in=["succeeded", "failed", "cancelled"], finished_at__isnull=False),
                name="marketdata_ingest_job_finished_iff_finished_at",
            ),
            models.CheckConstraint(
                condition=Q(status="running", token__isnull=False, lease_until__isnull=False, started_at__isnull=False)
                | (~Q(status="running") & Q(lease_until__isnull=True)),
                name="marketdata_ingest_job_lease_iff_running",
            ),
            models.CheckConstraint(
                condition=Q(status="failed") & ~Q(failure_code="") | ~Q(status="failed") & Q(failure_code=""),
                name="marketdata_ingest_job_failed_iff_code",
            ),
            models.CheckConstraint(
                condition=~Q(status="cancelled") | Q(cancel_requested=True),
                name="marketdata_ingest_job_cancelled_on_request",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.description} ({self.status})"

    @property
    def is_finished(self) -> bool:
        return self.status in TERMINAL

    @property
    def can_resume(self) -> bool:
        return self.status in (self.Status.FAILED, self.Status.CANCELLED) and bool(self.request)

    # Transitions of the process that holds the token: nobody else can make them.

    def _mine(self) -> IngestJobQuerySet:
        return IngestJob.objects.filter(pk=self.pk, status=self.Status.RUNNING, token=self.token)

    def beat(self, **news: Any) -> bool:
        """Renew the lease and write down progress. False: cancelled, or no longer ours: stop working on it."""
        is_ours = self._mine().filter(cancel_requested=False)
        return bool(is_ours.update(lease_until=Now() + Value(LEASE), **news))

    def succeed(self, **facts: Any) -> bool:
        return bool(self._mine().update(status=self.Status.SUCCEEDED, **facts, **over()))

    def fail(self, code: str, message: str, **facts: Any) -> bool:
        ended = {"status": self.Status.FAILED, "failure_code": code, "failure": message[:500]}
        return bool(self._mine().update(**ended, **facts, **over()))

    def cancel(self, **facts: Any) -> bool:
        """End a job whose cancellation was seen, or whose process was told to end by hand."""
        return bool(self._mine().update(status=self.Status.CANCELLED, cancel_requested=True, **facts, **over()))

    def give_back(self, **facts: Any) -> bool:
        """Queue it again because this worker is told to stop."""
        return bool(self._mine().filter(cancel_requested=False).update(**(facts | QUEUED_AGAIN)))
