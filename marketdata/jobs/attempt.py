"""A running job from its first beat to exactly one end."""

import datetime as dt
import errno
import logging
import secrets
import threading
from collections.abc import Callable

from marketdata.fetch.errors import ArchiveError
from marketdata.fetch.extend import find_extensions
from marketdata.fetch.fetch_request import FetchRequest
from marketdata.fetch.pulse import JobStopped, Pulse
from marketdata.fetch.site import site_archive, site_cache, today_utc
from marketdata.fetch.spans import WantedSeries
from marketdata.fetch.work import FetchReport, FetchWork
from marketdata.jobs.sigterm import stop_on_sigterm
from marketdata.models import IngestJob
from marketdata.store import StoreError

logger = logging.getLogger(__name__)


def run_fetch(
    job: IngestJob,
    *,
    show: Callable[[Pulse], None] | None = None,
    tell: Callable[[str], None] | None = None,
    is_command: bool = False,
) -> FetchReport | None:
    """Carry out a running job of kind fetch or extend, and end its row, whatever happens. None: it came to no end.

    A worker that is told to stop gives the job back to the queue; a command cancels its own.
    """
    pulse = Pulse(job, show, tell)
    with stop_on_sigterm(pulse):
        return _attempt(job, pulse, is_command=is_command)


def _attempt(job: IngestJob, pulse: Pulse, *, is_command: bool) -> FetchReport | None:
    stop = threading.Event()
    work: FetchWork | None = None
    try:
        today = today_utc()
        work = FetchWork(site_archive(stop=stop), site_cache(), pulse, stop, today)
        report = work.run(find_wanted(job, today))
        _end(job, pulse, report)
        return report
    except JobStopped as stopped:
        if stopped.reason == "shutdown" and not is_command:
            pulse.say("The worker was told to stop; the job waits for another one.")
            if job.give_back(**pulse.last_facts()):
                return None
        _cancel(job, pulse)
    except (KeyboardInterrupt, SystemExit):
        _cancel(job, pulse)
        raise
    except ArchiveError as error:
        _fail(job, pulse, error.code, error.message, work)
    except StoreError as error:
        _fail(job, pulse, "storage", f"Candles cannot be stored: {error} Make room or mend it, then resume.", work)
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        text = "The disk is full: make room, then resume." if is_full else f"The disk refuses: {error}"
        _fail(job, pulse, "disk_full" if is_full else "storage", text, work)
    except Exception:
        error_id = secrets.token_hex(4)
        logger.exception("Ingest job %s: internal error %s", job.pk, error_id)
        _fail(job, pulse, "internal", f"Something went wrong on our side; the server's log has it as {error_id}.", work)
    finally:
        stop.set()
    return None


def find_wanted(job: IngestJob, today: dt.date) -> list[WantedSeries]:
    if job.kind == IngestJob.Kind.EXTEND:
        return find_extensions(today)
    return list(FetchRequest.parse(job.request, today).wanted())


def _end(job: IngestJob, pulse: Pulse, report: FetchReport) -> None:
    pulse.say(report.summary)
    facts = {"outcome": report.to_json(), **pulse.last_facts()}
    if report.is_complete:
        job.succeed(**facts)
    else:
        job.fail("incomplete", report.summary, **facts)


def _fail(job: IngestJob, pulse: Pulse, code: str, message: str, work: FetchWork | None) -> None:
    pulse.say(message)
    facts = pulse.last_facts()
    if work is not None:
        facts["outcome"] = work.report.to_json()
    job.fail(code, message, **facts)


def _cancel(job: IngestJob, pulse: Pulse) -> None:
    pulse.say("Cancelled. What was taken in by then stays.")
    job.cancel(**pulse.last_facts())
