"""A job in the form in which pages show it."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from marketdata.fetch.plan import REASONS
from marketdata.models import IngestJob

BADGES = {
    IngestJob.Status.QUEUED: "badge-wait",
    IngestJob.Status.RUNNING: "badge-run",
    IngestJob.Status.SUCCEEDED: "badge-ok",
    IngestJob.Status.FAILED: "badge-bad",
    IngestJob.Status.CANCELLED: "",
}
STAGES = {
    "planning": "Asking the archive what it holds",
    "fetching": "Fetching and taking in",
    "repairing": "Repairing",
}
FAILURES = {
    "incomplete": "Not everything could be had",
    "refused": "Files were refused",
    "no_answer": "The archive does not answer",
    "lost": "The process was lost",
    "disk_full": "The disk is full",
    "storage": "The disk refuses",
    "internal": "Something failed on our side",
}
N_LOG_LINES = 200
POLL_S, POLL_QUEUED_S = 1, 2


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job in a list, and on its own page."""

    job: IngestJob

    @property
    def badge(self) -> str:
        return BADGES[IngestJob.Status(self.job.status)]

    @property
    def status(self) -> str:
        if self.job.cancel_requested and not self.job.is_finished:
            return "Cancelling"
        return self.job.get_status_display()

    @property
    def stage(self) -> str:
        if self.job.status == IngestJob.Status.QUEUED:
            return "Waiting for a free worker"
        return STAGES.get(self.job.stage, "Working") if not self.job.is_finished else ""

    @property
    def headline(self) -> str:
        """What it does, or how it ended."""
        ends = {
            IngestJob.Status.SUCCEEDED: "Everything that was asked for is held",
            IngestJob.Status.CANCELLED: "What was taken in by then stays",
        }
        return self.stage or self.failure or ends.get(IngestJob.Status(self.job.status), "")

    @property
    def now(self) -> str:
        """What is being worked on."""
        return "" if self.job.is_finished else str(self.job.progress.get("now", ""))

    @property
    def percent(self) -> int | None:
        if self.job.status == IngestJob.Status.QUEUED or not self.job.n_files:
            return None
        return min(100 * self.job.n_files_done // self.job.n_files, 100)

    @property
    def n_bytes(self) -> int:
        return int(self.job.progress.get("n_bytes", 0))

    @property
    def failure(self) -> str:
        return FAILURES.get(self.job.failure_code, "It failed") if self.job.failure_code else ""

    @property
    def duration(self) -> str:
        """How long it has worked, as 0:07 or 1:02:03."""
        if self.job.started_at is None:
            return "–"
        passed = (self.job.finished_at or timezone.now()) - self.job.started_at
        minutes, seconds = divmod(max(int(passed.total_seconds()), 0), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"

    @property
    def poll_s(self) -> int:
        return POLL_QUEUED_S if self.job.status == IngestJob.Status.QUEUED else POLL_S

    @property
    def log_tail(self) -> list[str]:
        return self.job.log.splitlines()[-N_LOG_LINES:]

    @property
    def n_lines_before(self) -> int:
        return max(len(self.job.log.splitlines()) - N_LOG_LINES, 0)

    @property
    def outcome(self) -> dict[str, list[dict[str, Any]]]:
        """segments, missing, refused: lists of plain values, empty where there are none."""
        found = {name: list(self.job.outcome.get(name, [])) for name in ("segments", "missing", "refused")}
        found["missing"] = [{**row, "why": REASONS.get(row["reason"], row["reason"])} for row in found["missing"]]
        return found
