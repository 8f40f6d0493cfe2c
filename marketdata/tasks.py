"""What a worker does with a message about market data. The row decides, not the message."""

from structlog.contextvars import bound_contextvars

from marketdata.jobs.attempt import run_fetch
from marketdata.jobs.dispatch import dispatch_next
from marketdata.jobs.service import request_extension
from marketdata.models import IngestJob


def run_ingest_job(job_id: str) -> None:
    """Carry out one job. A duplicate message, or one of a cancelled job, finds nothing to claim."""
    job = IngestJob.objects.claim(job_id)
    if job is None:
        return
    with bound_contextvars(ingest_job_id=str(job.pk), attempt=job.attempt):
        run_fetch(job)
    dispatch_next()


def extend_candles() -> None:
    """The daily schedule: queue a job that extends what is held."""
    request_extension()
