"""Gets queued jobs to the workers, one after the other. A message carries a job's id and nothing else."""

import logging
import uuid
from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now
from django_q.tasks import async_task

from marketdata.models import IngestJob

logger = logging.getLogger(__name__)

TASK = "marketdata.tasks.run_ingest_job"
TIME_LIMIT_S = 6 * 3600  # the queue's own limit, the last resort: a job can be cancelled at any time
GRACE = timedelta(seconds=2)  # for the web process that is about to send the message itself
OVERDUE = timedelta(seconds=60)  # a message this old waits behind runs, or died with a cluster


def dispatch(job_id: uuid.UUID) -> None:
    """Send the message of a queued job, and note the time of it. Of two messages one finds nothing to claim."""
    async_task(TASK, str(job_id), timeout=TIME_LIMIT_S)
    IngestJob.objects.filter(pk=job_id, status=IngestJob.Status.QUEUED).update(dispatched_at=Now())


def dispatch_quietly(job_id: uuid.UUID) -> None:
    """For the end of a request: if the queue does not answer, the reaper sends it."""
    try:
        dispatch(job_id)
    except Exception:
        logger.exception("The message of ingest job %s was not sent; the reaper sends it again.", job_id)


def dispatch_next() -> int:
    """Send the message of the job that waits longest, when nothing is being worked on. Returns how many messages."""
    return _send(IngestJob.objects.waiting().first())


def reap_jobs(*, may_judge: bool = True) -> int:
    """End jobs whose process is gone, unless it may not judge that now, and send the message that is missing.

    Idempotent; returns how many it touched.
    """
    n_ended = IngestJob.objects.end_lost() if may_judge else 0
    never_sent = Q(dispatched_at__isnull=True, created_at__lte=Now() - GRACE)
    return n_ended + _send(
        IngestJob.objects.waiting().filter(never_sent | Q(dispatched_at__lt=Now() - OVERDUE)).first()
    )


def count_busy_workers() -> int:
    """Workers that are busy with an ingest job, and not free for runs."""
    return IngestJob.objects.filter(
        status=IngestJob.Status.RUNNING, dispatched_at__isnull=False, lease_until__gte=Now()
    ).count()


def _send(job: IngestJob | None) -> int:
    if job is None or count_busy_workers():
        return 0
    dispatch(job.pk)
    return 1
