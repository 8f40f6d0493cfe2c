"""Keeps a claimed run alive: renews its lease from a thread of its own, and hears when to stop.

A thread, because reading candles, replaying and writing files take longer than a lease now and then.
"""

import logging
import threading
from typing import Any, Literal, Self

from django.db import DatabaseError, connections

from backtests.models import BacktestRun

logger = logging.getLogger(__name__)

PERIOD_S = 1.0  # the lease lasts eight of them, and a cancelled run is noticed within one

type StopReason = Literal["", "not_ours", "shutdown"]


class Heartbeat:
    """Beats between `with` and its end. `stop_reason` says why to stop, "" while there is no reason.

    While the database does not answer it goes on trying: the fence, not the lease, decides whose result counts.
    """

    def __init__(self, run: BacktestRun) -> None:
        self._run = run
        self._stage = ""
        self._progress: dict[str, Any] | None = None
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_end, name=f"beat {run.pk}", daemon=True)
        self.stop_reason: StopReason = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._has_ended.set()
        self._thread.join()

    def carry(self, stage: str, progress: dict[str, Any] | None = None) -> bool:
        """Hand over what the next beat is to say. Returns False when the work must stop."""
        self._stage, self._progress = stage, progress
        return not self.must_stop()

    def must_stop(self) -> bool:
        return bool(self.stop_reason)

    def ask_to_stop(self) -> None:
        """This worker is told to end: the run goes back to the queue."""
        self.stop_reason = self.stop_reason or "shutdown"

    def _beat_until_end(self) -> None:
        try:
            while not self._has_ended.wait(PERIOD_S):
                try:
                    is_ours = self._run.beat(self._stage, self._progress)
                except DatabaseError:
                    logger.warning("Run %s: a beat failed; trying again.", self._run.pk, exc_info=True)
                    connections.close_all()
                    continue
                if not is_ours:
                    self.stop_reason = "not_ours"
                    return
        finally:
            connections.close_all()
