"""What a child has sent so far. The child is hostile by assumption: everything is bounded, nothing is believed."""

from collections import deque
from datetime import UTC, datetime
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from accounts.quotas import Limits
from backtests.engine.frames import (
    DoneFrame,
    ErrorFrame,
    Frame,
    FrameDecoder,
    FrameError,
    IndicatorFrame,
    LogFrame,
    OrdersFrame,
    PlotFrame,
    ProgressFrame,
    StartedFrame,
    TurnFrame,
)
from backtests.engine.kernels.types import COMMAND
from backtests.engine.result import CommandLog, Rows
from backtests.runner.jail.child import Child
from backtests.runner.outcome import IndicatorSeries, LogLine, PlotSeries
from backtests.runner.turns import Turns

MAX_STREAM_BYTES = 512 * 1024 * 1024
MAX_PLOT_SERIES = 20

MAX_INDICATORS = 24
LOG_TOLERANCE = 2  # an honest child stops at the limit by its own count; only a broken one comes this far
LINE_OVERHEAD_BYTES = 40
TAIL_LINES = 20


class Violation(Exception):
    """The child sent what it must not send; `code` is the run's failure code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Intake:
    """Takes a child's frames apart and keeps what they bring, within the limits of the run."""

    turns: Turns | None = None  # of a sealed run

    def __init__(self, limits: Limits, timeline_ms: NDArray[np.int64], timeframe_ms: int) -> None:
        self.is_started = False  # the child has its job, and the jail is shut
        self.error: ErrorFrame | None = None
        self.done: DoneFrame | None = None
        self.progress: ProgressFrame | None = None
        self._decoder = FrameDecoder()
        self._limits = limits
        self.timeline_ms = timeline_ms
        self._timeframe_ms = timeframe_ms
        self._rows: list[Rows] = []
        self._tags: list[str] = []
        self._lines: deque[LogLine] = deque()
        self._plots: dict[tuple[str, str], list[PlotFrame]] = {}
        self._indicators: list[tuple[str, str, list[NDArray[np.float32]]]] = []
        self._n_bytes = self._n_orders = self._n_log_bytes = self._n_points = 0

    def feed(self, data: bytes) -> None:
        """Raises Violation."""
        self._n_bytes += len(data)
        if self._n_bytes > MAX_STREAM_BYTES:
            allowed = f"{MAX_STREAM_BYTES // 2**20:,} MiB"
            raise Violation("output_limit", f"A run may report at most {allowed}; this is more.")
        try:
            for frame in self._decoder.feed(data):
                if self.error is not None or self.done is not None:
                    raise FrameError("A frame came after the last one.")
                self._take(frame)
        except FrameError as error:
            raise Violation("integrity", f"The run's process sent what is no report of ours. {error}") from None

    @property
    def n_waiting(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return self._decoder.n_waiting

    def play_turns(self, child: Child, longest_s: float) -> float:
        """In a sealed run, show bars for so long. Returns how long to wait for anything else. Raises Violation."""
        if self.turns is None or not self.is_started:
            return longest_s
        self.turns.play(child, self, longest_s)
        return 0.0

    def command_log(self) -> CommandLog:
        rows = np.concatenate(self._rows) if self._rows else np.empty(0, COMMAND)
        return CommandLog(rows, tuple(self._tags))

    def log_lines(self) -> tuple[LogLine, ...]:
        return tuple(self._lines)

    def log_tail(self, n_lines: int = TAIL_LINES) -> tuple[str, ...]:
        """The last lines, each after the time of its bar (UTC)."""
        first = max(len(self._lines) - n_lines, 0)
        return tuple(_with_time(line) for line in islice(self._lines, first, None))

    def plot_series(self) -> tuple[PlotSeries, ...]:
        return tuple(
            PlotSeries(
                name,
                pane,
                self._close_ms(np.concatenate([piece.i_bar for piece in pieces])),
                np.concatenate([piece.values for piece in pieces]).astype(np.float64),
            )
            for (name, pane), pieces in self._plots.items()
        )

    def indicator_series(self, first_bar: int, n_bars: int) -> tuple[IndicatorSeries, ...]:
        """Those that came whole, cut to the span."""
        whole = [(name, pane, np.concatenate(pieces)) for name, pane, pieces in self._indicators]
        return tuple(
            IndicatorSeries(name, pane, values[first_bar : first_bar + n_bars])
            for name, pane, values in whole
            if len(values) == len(self.timeline_ms)
        )

    def _take(self, frame: Frame) -> None:
        match frame:
            case StartedFrame():
                self.is_started = True
            case ProgressFrame():
                self.progress = frame
            case OrdersFrame():
                self._take_orders(frame)
            case LogFrame():
                self._take_lines(frame)
            case PlotFrame():
                self._take_points(frame)
            case IndicatorFrame():
                self._take_indicator(frame)
            case TurnFrame():
                if self.turns is None:
                    raise FrameError("A bar was asked for in a run that has them all.")
                self.turns.take_question(frame.token)
            case DoneFrame():
                self.done = frame
            case ErrorFrame():
                self.error = frame

    def _take_orders(self, frame: OrdersFrame) -> None:
        if self.turns is not None:
            self.turns.check_orders(frame.rows)
        self._n_orders += len(frame.rows)
        if self._n_orders > self._limits.max_orders or len(self._tags) + len(frame.tags) > self._limits.max_orders:
            allowed = f"{self._limits.max_orders:,}"
            raise Violation("order_limit", f"A run may make at most {allowed} orders; this is {self._n_orders:,}.")
        self._rows.append(frame.rows)
        self._tags += frame.tags

    def _take_lines(self, frame: LogFrame) -> None:
        self._n_log_bytes += sum(len(text.encode()) + LINE_OVERHEAD_BYTES for _, _, text in frame.lines)
        if self._n_log_bytes > LOG_TOLERANCE * self._limits.max_log_bytes + 10_000:
            allowed = f"{self._limits.max_log_bytes:,}"
            raise Violation(
                "log_limit", f"A run may write a log of at most {allowed} bytes; this is {self._n_log_bytes:,}."
            )
        for level, i_bar, text in frame.lines:
            self._check_bar(i_bar)
            time_ms = int(self.timeline_ms[i_bar]) + self._timeframe_ms if i_bar >= 0 else 0
            self._lines.append(LogLine(level, time_ms, text))

    def _take_points(self, frame: PlotFrame) -> None:
        self._n_points += len(frame.values)
        key = (frame.name, frame.pane)
        if self._n_points > self._limits.max_plot_points:
            allowed = f"{self._limits.max_plot_points:,}"
            raise Violation("plot_limit", f"A run may plot at most {allowed} points; this is {self._n_points:,}.")
        if key not in self._plots and len(self._plots) >= MAX_PLOT_SERIES:
            raise Violation("plot_limit", f"A run may draw at most {MAX_PLOT_SERIES} series; this is one more.")
        if len(frame.i_bar):
            self._check_bar(int(frame.i_bar.max()))
            self._plots.setdefault(key, []).append(frame)

    def _take_indicator(self, frame: IndicatorFrame) -> None:
        if frame.start == 0:
            if len(self._indicators) >= MAX_INDICATORS:
                raise Violation("plot_limit", f"A run may draw at most {MAX_INDICATORS} indicators; this is one more.")
            self._indicators.append((frame.name, frame.pane, []))
        n_held = sum(len(piece) for piece in self._indicators[-1][2]) if self._indicators else 0
        if not self._indicators or frame.start != n_held or n_held + len(frame.values) > len(self.timeline_ms):
            raise FrameError("A piece of an indicator does not follow the one before it.")
        self._indicators[-1][2].append(frame.values)

    def _check_bar(self, i_bar: int) -> None:
        if i_bar >= len(self.timeline_ms):
            raise FrameError(f"Bar {i_bar} lies behind the last one.")

    def _close_ms(self, i_bar: NDArray[np.int32]) -> NDArray[np.int64]:
        """Close of each bar; 0 before the first."""
        closes = np.append(self.timeline_ms + self._timeframe_ms, 0)
        return closes[i_bar]


def _with_time(line: LogLine) -> str:
    if not line.time_ms:
        return line.text
    return f"{datetime.fromtimestamp(line.time_ms / 1000, UTC):%Y-%m-%d %H:%M} {line.text}"
