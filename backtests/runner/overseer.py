"""Watches a child until it ends, one way or another, and says how: the parent's side, which believes nothing."""

import selectors
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from accounts.quotas import Limits
from backtests.runner.deaths import Death, describe_memory, explain_death, explain_early_death, explain_time_out
from backtests.runner.intake import Intake, Violation
from backtests.runner.jail.child import Child
from backtests.runner.jail.usage import Usage, read_usage
from backtests.runner.outcome import Ending, Failure, Progress

KEPT_OUTPUT_BYTES = 64 * 1024
READ_BYTES = 256 * 1024
TICK_S = 0.1
PROGRESS_EVERY_S = 0.5
START_PATIENCE_S = 60.0  # until the libraries are loaded, on a machine with too much to do
GRACE_S = 0.3  # after its last word, for its last output and the true cause of its death


class Overseer:
    """One child, watched."""

    def __init__(
        self, child: Child, intake: Intake, limits: Limits, tick: Callable[[Progress | None], bool], started_s: float
    ) -> None:
        self._child = child
        self._intake = intake
        self._limits = limits
        self._tick = tick  # called often with None, twice a second with the progress; False: stop
        self._started_s = started_s
        self._handed_over_s: float | None = None  # when the child had its job, and had shut the jail
        self._first_bar_s: float | None = None
        self._next_progress_s = started_s
        self._output = bytearray()
        self._n_output = 0
        self._cpu_before_s = self._next_look_s = 0.0
        self.used = Usage()  # by the strategy, so far

    @property
    def output(self) -> str:
        """The last of what was printed."""
        return self._output.decode("utf-8", "replace").replace("\x00", "�")

    def watch(self) -> Ending:
        """Until the child has ended. After a good last word it is only killed: its burial need not be waited for."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._child.frames, selectors.EVENT_READ)
            selector.register(self._child.output, selectors.EVENT_READ)
            ending = None
            try:
                ending = self._watch(selector)
            finally:
                if ending is not None and ending.is_done:
                    self._child.kill()
                else:
                    code = self._child.reap()
        if ending is None:
            death = Death(code, self.used, self.output, self._log_tail())
            is_early = not self._intake.is_started
            ending = Ending(failure=explain_early_death(death) if is_early else explain_death(death, self._limits))
        first_bar_s = self._first_bar_s or time.monotonic()
        return Ending(
            ending.is_done,
            ending.is_cancelled,
            ending.failure,
            handover_s=(self._handed_over_s or time.monotonic()) - self._started_s,
            start_s=first_bar_s - self._started_s,
            strategy_s=time.monotonic() - first_bar_s,
        )

    def _watch(self, selector: selectors.BaseSelector) -> Ending | None:
        """None: it died without a last word."""
        try:
            while True:
                for key, _ in selector.select(self._intake.play_turns(self._child, TICK_S)):
                    self._read(key.fileobj, selector)
                self._note_stage()
                self._look_at_usage()
                if self._intake.done is not None or self._intake.error is not None:
                    # What was printed before a good end is there already: the child writes it out first.
                    self._drain(selector, 0.0 if self._intake.done is not None else GRACE_S)
                    return self._last_word()
                if time.monotonic() > self._deadline_s():
                    return Ending(failure=self._time_out(selector))
                if not self._tick(self._progress_if_due()):
                    return Ending(is_cancelled=True)
                if not self._child.is_alive() or not selector.get_map():
                    self._drain(selector, GRACE_S)
                    self._await_exit()
                    return self._last_word()
        except Violation as violation:
            return Ending(failure=Failure(violation.code, violation.message, log_tail=self._log_tail()))

    def _deadline_s(self) -> float:
        """The wall clock runs while the strategy runs; for starting there is a patience of its own."""
        if self._handed_over_s is None:
            return self._started_s + START_PATIENCE_S
        return self._handed_over_s + self._limits.run_wall_clock_s

    def _read(self, pipe: Any, selector: selectors.BaseSelector) -> None:
        """One piece. Raises Violation."""
        data = pipe.read(READ_BYTES)  # None: there is nothing now
        if data == b"":
            selector.unregister(pipe)
        elif data and pipe is self._child.frames:
            self._intake.feed(data)
        elif data:
            self._keep_output(data)

    def _keep_output(self, data: bytes) -> None:
        self._n_output += len(data)
        self._output += data
        del self._output[:-KEPT_OUTPUT_BYTES]
        if self._n_output > (most := self._limits.max_output_bytes):
            raise Violation("output_limit", f"A run may print at most {most:,} bytes; this is {self._n_output:,}.")

    def _note_stage(self) -> None:
        if self._handed_over_s is None and self._intake.is_started:
            self._handed_over_s = time.monotonic()
        if self._first_bar_s is None and self._intake.progress is not None:
            self._first_bar_s = time.monotonic()

    def _drain(self, selector: selectors.BaseSelector, longest_s: float) -> None:
        """Read what is there, up to the ends of the pipes, waiting for more at most this long."""
        end_s = time.monotonic() + longest_s
        while selector.get_map():
            for key, _ in selector.select(min(longest_s, TICK_S)):
                self._read(key.fileobj, selector)
            if time.monotonic() >= end_s:
                return

    def _last_word(self) -> Ending | None:
        if self._intake.done is not None:
            return Ending(is_done=True)
        error = self._intake.error
        if error is None:
            return None
        failure = Failure(
            error.code,
            describe_memory(self._limits, self.used) if error.code == "memory_limit" else error.message,
            error.line,
            error.source_line,
            error.bar_time_ms,
            error.traceback,
            self._log_tail(),
        )
        return Ending(failure=failure)

    def _progress_if_due(self) -> Progress | None:
        now_s = time.monotonic()
        if now_s < self._next_progress_s:
            return None
        self._next_progress_s = now_s + PROGRESS_EVERY_S
        latest, tail = self._intake.progress, self._intake.log_tail(5)
        if latest is None or self._first_bar_s is None:
            return Progress("starting", log_tail=tail)
        elapsed_s = now_s - self._first_bar_s
        n_done = min(max(latest.i_bar, 0), latest.n_bars)
        bars_per_s = n_done / elapsed_s if elapsed_s > 0 else 0.0
        eta_s = (latest.n_bars - n_done) / bars_per_s if bars_per_s else None
        return Progress("running", n_done, latest.n_bars, bars_per_s, eta_s, latest.equity, tail)

    def _time_out(self, selector: selectors.BaseSelector) -> Failure:
        """Ask it where it is (faulthandler answers even out of an endless loop), then give up on it."""
        if self._handed_over_s is None:
            return Failure("internal", f"The run's process was not ready within {START_PATIENCE_S:g} s.")
        elapsed_s = time.monotonic() - self._handed_over_s
        self._child.ask_where()
        with suppress(Violation):
            self._drain(selector, GRACE_S)
        return explain_time_out(self._limits, elapsed_s, self.output, self._log_tail())

    def _look_at_usage(self) -> None:
        """The kernel forgets what a child used when it is gone, so it is asked all the time."""
        now_s = time.monotonic()
        if now_s < self._next_look_s and self._intake.is_started:
            return
        self._next_look_s = now_s + TICK_S
        pid = self._child.find_pid()
        if pid is None or (usage := read_usage(pid)) is None:
            return
        if not self._intake.is_started:
            self._cpu_before_s = usage.cpu_s
        self.used = Usage(usage.cpu_s - self._cpu_before_s, usage.peak_memory_mb)

    def _log_tail(self) -> tuple[str, ...]:
        return (*self._intake.log_tail(), *self.output.splitlines()[-20:])

    def _await_exit(self) -> None:
        end_s = time.monotonic() + GRACE_S
        while self._child.is_alive() and time.monotonic() < end_s:
            time.sleep(0.01)
