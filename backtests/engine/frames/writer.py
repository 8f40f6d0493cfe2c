"""The child's end of the pipe: batches what a strategy reports, and writes frames."""

import math
import os
import time

import numpy as np
from numpy.typing import NDArray

from backtests.engine.errors import ResourceLimitError
from backtests.engine.frames.kinds import (
    LOG_LEVELS,
    MAX_LINE,
    MAX_NAME,
    MAX_TAG,
    MAX_TRACEBACK,
    ErrorFrame,
)
from backtests.engine.frames.wire import MAX_ROWS, encode_array, encode_frame, encode_rows
from backtests.engine.result import CommandLog

TAGS_PER_FRAME = 100
POINTS_PER_FRAME = 3_000
VALUES_PER_FRAME = 10_000
LOG_BYTES_PER_FRAME = 16_000  # of UTF-8; JSON writes two bytes for a quote
PROGRESS_EVERY_S = 0.25


class FrameReporter:
    """Writes a run's frames to `fd`. A log or plots beyond their limits raise ResourceLimitError."""

    def __init__(self, fd: int, *, max_log_bytes: int, max_plot_points: int = 1_000_000) -> None:
        self._fd = fd
        self._max_log_bytes = max_log_bytes
        self._max_plot_points = max_plot_points
        self._n_log_bytes = self._n_points = 0
        self._lines: list[tuple[str, int, str]] = []
        self._line_bytes = 0
        self._points: dict[tuple[str, str], tuple[list[int], list[float]]] = {}
        self._next_progress_s = 0.0

    def started(self) -> None:
        self._send(encode_frame("STARTED"))

    def progress(self, i_bar: int, n_bars: int, equity: float) -> None:
        now_s = time.monotonic()
        if now_s < self._next_progress_s:
            return
        self._next_progress_s = now_s + PROGRESS_EVERY_S
        self.flush()
        shown = equity if math.isfinite(equity) else None
        self._send(encode_frame("PROGRESS", i_bar=int(i_bar), n_bars=int(n_bars), equity=shown))

    def log(self, level: str, i_bar: int, text: str) -> None:
        line = clean_text(text, MAX_LINE)
        n_bytes = len(line.encode()) + 40
        self._n_log_bytes += n_bytes
        if self._n_log_bytes > self._max_log_bytes:
            raise _exceed("max_log_bytes", self._max_log_bytes, self._n_log_bytes, "write a log of", "bytes")
        self._lines.append((level if level in LOG_LEVELS else "info", i_bar, line))
        self._line_bytes += n_bytes
        if self._line_bytes > LOG_BYTES_PER_FRAME:
            self._flush_lines()

    def plot(self, name: str, pane: str, i_bar: int, value: float) -> None:
        if math.isinf(value):
            return
        self._n_points += 1
        if self._n_points > self._max_plot_points:
            raise _exceed("max_plot_points", self._max_plot_points, self._n_points, "plot", "points")
        key = (clean_text(name, MAX_NAME), clean_text(pane, MAX_NAME))
        bars, values = self._points.setdefault(key, ([], []))
        bars.append(i_bar)
        values.append(value)
        if len(bars) >= POINTS_PER_FRAME:
            self._flush_points(key)

    def indicator(self, name: str, pane: str, values: NDArray[np.float64]) -> None:
        with np.errstate(over="ignore"):
            drawn = values.astype(np.float32)
        drawn[np.isinf(drawn)] = np.nan
        for start in range(0, len(drawn), VALUES_PER_FRAME):
            piece = encode_array(drawn[start : start + VALUES_PER_FRAME], "<f4")
            name_, pane_ = clean_text(name, MAX_NAME), clean_text(pane, MAX_NAME)
            self._send(encode_frame("INDICATOR", name=name_, pane=pane_, start=start, values=piece))

    def commands(self, log: CommandLog) -> None:
        """Every command of the run, in batches; tags go ahead of the rows that name them."""
        tags = [clean_text(tag, MAX_TAG) for tag in log.tags]
        for start in range(0, len(tags), TAGS_PER_FRAME):
            self._send(encode_frame("ORDERS", rows="", tags=tags[start : start + TAGS_PER_FRAME]))
        for start in range(0, len(log.rows), MAX_ROWS):
            rows = encode_rows(log.rows[start : start + MAX_ROWS])
            self._send(encode_frame("ORDERS", rows=rows, tags=[]))

    def done(self, ledger_hash: str, n_bars: int) -> None:
        self.flush()
        self._send(encode_frame("DONE", ledger_hash=ledger_hash, n_bars=n_bars))

    def error(self, error: ErrorFrame) -> None:
        self.flush()
        self._send(
            encode_frame(
                "ERROR",
                code=error.code,
                message=clean_text(error.message, MAX_LINE),
                line=error.line,
                source_line=clean_text(error.source_line, MAX_LINE),
                bar_time_ms=error.bar_time_ms,
                traceback=clean_text(error.traceback, MAX_TRACEBACK),
            )
        )

    def flush(self) -> None:
        self._flush_lines()
        for key in list(self._points):
            self._flush_points(key)

    def _flush_lines(self) -> None:
        if self._lines:
            self._send(encode_frame("LOG", lines=self._lines))
            self._lines, self._line_bytes = [], 0

    def _flush_points(self, key: tuple[str, str]) -> None:
        bars, values = self._points.pop(key)
        i_bar, points = encode_array(np.array(bars), "<i4"), encode_array(np.array(values), "<f8")
        self._send(encode_frame("PLOT", name=key[0], pane=key[1], i_bar=i_bar, values=points))

    def _send(self, frame: bytes) -> None:
        view = memoryview(frame)
        while view:
            view = view[os.write(self._fd, view) :]


def _exceed(limit: str, allowed: int, used: int, verb: str, unit: str) -> ResourceLimitError:
    return ResourceLimitError(limit, allowed, used, f"A run may {verb} at most {allowed:,} {unit}; this is {used:,}.")


_CONTROLS = {code: "�" for code in range(32) if chr(code) not in "\t\n"}  # JSON would write six bytes for each


def clean_text(text: str, longest: int) -> str:
    """A text that any JSON reader and database takes: no control or half characters, at most `longest` long."""
    cleaned = str(text)[: longest + 1].translate(_CONTROLS).encode("utf-8", "replace").decode()
    return cleaned if len(cleaned) <= longest else cleaned[: longest - 1] + "…"
