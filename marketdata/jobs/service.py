"""What staff do with ingest jobs: preview, request, cancel, resume. Page, API, command and schedule come through here.

Every rule that is broken raises FetchRefused(field, code, message); field "" means the request as a whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import transaction

from accounts.models import User
from marketdata.fetch.errors import ArchiveError, FetchRefused
from marketdata.fetch.extend import find_extensions
from marketdata.fetch.fetch_request import FetchRequest
from marketdata.fetch.held import held_names
from marketdata.fetch.plan import Missing, SeriesPlan, plan_series
from marketdata.fetch.shelf import Shelf
from marketdata.fetch.site import site_archive, today_utc
from marketdata.jobs.dispatch import dispatch_quietly
from marketdata.models import IngestJob

MAX_ACTIVE_JOBS = 20
PREVIEW_S = 15.0  # a page must not wait longer for an archive


@dataclass(frozen=True, slots=True)
class PlannedSeries:
    """One series of a preview."""

    name: str
    n_files: int
    n_held: int  # of these: files of this name were taken in before; fetched anew only where they were revised
    n_bytes: int
    first: str
    last: str
    missing: tuple[Missing, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a fetch would do. `problem`: why the archive could not be asked; empty where it was."""

    request: FetchRequest
    series: tuple[PlannedSeries, ...] = ()
    problem: str = ""

    @property
    def n_files(self) -> int:
        return sum(series.n_files for series in self.series)

    @property
    def n_held(self) -> int:
        return sum(series.n_held for series in self.series)

    @property
    def n_bytes(self) -> int:
        """0 where the archive does not list its files."""
        return sum(series.n_bytes for series in self.series)

    @property
    def missing(self) -> list[Missing]:
        return [missing for series in self.series for missing in series.missing]


def parse_request(raw: Mapping[str, Any]) -> FetchRequest:
    """Raises FetchRefused."""
    return FetchRequest.parse(raw, today_utc())


def preview_fetch(request: FetchRequest, *, deadline_s: float | None = PREVIEW_S) -> Preview:
    """Ask the archive what it holds of a request. Nothing is fetched and nothing is stored."""
    try:
        archive = site_archive(deadline_s=deadline_s, n_tries=2)
        plans = [
            plan_series(Shelf(archive, wanted), wanted, today_utc(), held_names(wanted)) for wanted in request.wanted()
        ]
    except ArchiveError as error:
        return Preview(request, problem=error.message)
    return Preview(request, tuple(_describe(plan) for plan in plans))


def request_fetch(user: User | None, raw: Mapping[str, Any]) -> IngestJob:
    """Check, store a queued job; its message leaves when the transaction commits. Raises FetchRefused."""
    request = parse_request(raw)
    return _queue(IngestJob.Kind.FETCH, f"Fetch {request.describe()}", request.to_json(), user)


def request_extension(user: User | None = None) -> IngestJob | None:
    """Queue a job that extends what is held to the newest files. None: nothing to extend, or one is under way."""
    if IngestJob.objects.active().filter(kind=IngestJob.Kind.EXTEND).exists() or not find_extensions(today_utc()):
        return None
    return _queue(IngestJob.Kind.EXTEND, "Extend what is held to the newest files", {"extend": True}, user)


def cancel_job(job: IngestJob) -> bool:
    """Ask for the end of a job: a queued one ends at once, a running one within about a second.

    False: it was finished, or its end was asked for before; nothing changed. Does not refresh `job`.
    """
    return bool(IngestJob.objects.filter(pk=job.pk).request_cancel())


def resume_job(job: IngestJob) -> bool:
    """Queue a failed or cancelled fetch again; what it took in is not fetched again. False: it cannot be resumed."""
    with transaction.atomic():
        is_queued = bool(IngestJob.objects.filter(pk=job.pk).requeue())
        if is_queued:
            transaction.on_commit(partial(dispatch_quietly, job.pk))
    return is_queued


def _queue(kind: IngestJob.Kind, description: str, request: dict[str, Any], user: User | None) -> IngestJob:
    with transaction.atomic():
        if IngestJob.objects.active().filter(kind=kind).count() >= MAX_ACTIVE_JOBS:
            text = f"{MAX_ACTIVE_JOBS} jobs wait already. Wait for one, or cancel one."
            raise FetchRefused("", "too_many_jobs", text)
        job = IngestJob.objects.create(kind=kind, description=description[:300], request=request, requested_by=user)
        # Row first, then queue. If the queue does not answer, the row waits for the reaper.
        transaction.on_commit(partial(dispatch_quietly, job.pk))
    return job


def _describe(plan: SeriesPlan) -> PlannedSeries:
    periods = sorted(file.period for file in plan.files)
    held = held_names(plan.wanted)
    return PlannedSeries(
        name=str(plan.wanted),
        n_files=len(plan.files),
        n_held=sum(file.name in held for file in plan.files),
        n_bytes=plan.n_bytes,
        first=periods[0] if periods else "",
        last=periods[-1] if periods else "",
        missing=tuple(plan.missing),
    )
