"""Keeps a running job alive from inside its work: renews the lease, writes progress and log, hears when to stop."""

import datetime as dt
import time
from collections.abc import Callable
from typing import Any, Literal

from marketdata.models import IngestJob

PERIOD_S = 1.0  # a cancelled job is noticed within one
MAX_LOG_CHARS = 200_000

type StopReason = Literal["not_ours", "shutdown"]


class JobStopped(Exception):
    """The job is to end now: somebody cancelled it, or its process is told to stop."""

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason)
        self.reason = reason


class Pulse:
    """Call `beat` often, from the thread that works: it does something once a second.

    `show` is called at each beat and `tell` with each line of the log, for whoever watches the process itself.
    """

    def __init__(
        self,
        job: IngestJob,
        show: Callable[["Pulse"], None] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.job = job
        self._tell = tell
        self.stage = ""
        self.progress: dict[str, Any] = {}
        self.facts: dict[str, Any] = {}  # columns of the row
        self._show = show
        self._lines: list[str] = [job.log] if job.log else []
        self._n_said = self._n_written = len(self._lines)
        self._beat_at = 0.0
        self._is_shutdown = False

    def say(self, line: str) -> None:
        """A line for the job's log, with the time."""
        self._lines.append(f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M:%S}  {_printable(line)}")
        self._n_said += 1
        if self._tell:
            self._tell(_printable(line))

    def ask_to_stop(self) -> None:
        """This process is told to end."""
        self._is_shutdown = True

    def enter(self, stage: str) -> None:
        self.stage = stage
        self.beat(now=True)

    def beat(self, *, now: bool = False) -> None:
        """Raises JobStopped."""
        if self._is_shutdown:
            raise JobStopped("shutdown")
        if not now and time.monotonic() - self._beat_at < PERIOD_S:
            return
        self._beat_at = time.monotonic()
        news: dict[str, Any] = {"stage": self.stage, "progress": self.progress, **self.facts}
        if self._n_said > self._n_written:
            news["log"] = self.log()
            self._n_written = self._n_said
        if not self.job.beat(**news):
            raise JobStopped("not_ours")
        if self._show:
            self._show(self)

    def log(self) -> str:
        """All that was said; of very much, the beginning and the end."""
        text = "\n".join(self._lines)
        if len(text) <= MAX_LOG_CHARS:
            return text
        half = MAX_LOG_CHARS // 2
        return f"{text[:half]}\n...\n{text[-half:]}"

    def last_facts(self) -> dict[str, Any]:
        """What the end of the job writes down."""
        return {"progress": self.progress, "log": self.log(), **self.facts}


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
