"""A file of candles that a user handed over, its life as a row, and what came of it.

    queued --claim--> running --succeed, fail--> succeeded, failed

The file lies under HINDSIGHT_HOME/uploads until its end. Every transition is a guarded UPDATE; only the database's
clock counts. There is one attempt: an upload whose worker disappears has failed, and can be made again.
"""

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

if TYPE_CHECKING:
    from accounts.models import User

LOST_AFTER = timedelta(minutes=15)  # the queue has ended the task long before
LOST = {"failure_code": "lost", "failure": "The worker that read the file disappeared. Upload it again."}


class UploadQuerySet(models.QuerySet["Upload"]):
    def visible_to(self, user: "User") -> "UploadQuerySet":
        return self.filter(owner=user)

    def active(self) -> "UploadQuerySet":
        """Uploads that are not finished."""
        return self.filter(status__in=(Upload.Status.QUEUED, Upload.Status.RUNNING))

    def unsent(self) -> "UploadQuerySet":
        """Waiting, but no message was sent for them: the queue did not answer."""
        return self.filter(status=Upload.Status.QUEUED, dispatched_at=None)

    def claim(self, upload_id: uuid.UUID | str) -> "Upload | None":
        """Make a waiting upload ours. None: a duplicate message."""
        is_ours = self.filter(pk=upload_id, status=Upload.Status.QUEUED).update(
            status=Upload.Status.RUNNING, started_at=Now()
        )
        return self.select_related("owner").get(pk=upload_id) if is_ours else None

    def end_lost(self) -> int:
        """Fail every upload whose worker has not ended it in time. Returns how many."""
        lost = self.filter(status=Upload.Status.RUNNING, started_at__lt=Now() - LOST_AFTER)
        return lost.update(status=Upload.Status.FAILED, finished_at=Now(), **LOST)


class Upload(models.Model):
    class Status(models.TextChoices):
        QUEUED = "queued", "Waiting"
        RUNNING = "running", "Being read"
        SUCCEEDED = "succeeded", "Taken in"
        FAILED = "failed", "Refused"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="uploads")
    file_name = models.CharField(max_length=120)
    n_bytes = models.PositiveBigIntegerField()

    # What it is to become.
    market = models.CharField(max_length=8)
    symbol = models.CharField(max_length=32)
    timeframe = models.CharField(max_length=4, blank=True, help_text="Empty: read off the rows.")
    rules_from = models.CharField(max_length=32, blank=True, help_text="Whose rules are copied; empty: plain ones.")

    # Life and outcome.
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    created_at = models.DateTimeField(auto_now_add=True)
    dispatched_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    failure_code = models.CharField(max_length=32, blank=True)
    failure = models.CharField(max_length=500, blank=True)
    series = models.ForeignKey("Series", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    n_rows = models.PositiveIntegerField(default=0)
    report = models.JSONField(default=dict, help_text="The QualityReport of the file.")
    log = models.TextField(blank=True, help_text="What became of each month.")

    objects = UploadQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status__in=["queued", "running"], finished_at__isnull=True)
                | Q(status__in=["succeeded", "failed"], finished_at__isnull=False),
                name="marketdata_upload_finished_iff_finished_at",
            ),
            models.CheckConstraint(
                condition=Q(status="failed") & ~Q(failure_code="") | ~Q(status="failed") & Q(failure_code=""),
                name="marketdata_upload_failed_iff_code",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.file_name} as {self.symbol} ({self.status})"

    @property
    def is_finished(self) -> bool:
        return self.status in (self.Status.SUCCEEDED, self.Status.FAILED)

    def succeed(self, **facts: Any) -> bool:
        return self._end(status=self.Status.SUCCEEDED, **facts)

    def fail(self, code: str, message: str, **facts: Any) -> bool:
        return self._end(status=self.Status.FAILED, failure_code=code, failure=message[:500], **facts)

    def _end(self, **facts: Any) -> bool:
        """False: it was given up as lost in the meantime."""
        running = Upload.objects.filter(pk=self.pk, status=self.Status.RUNNING)
        return bool(running.update(finished_at=Now(), **facts))
