"""The kinds of frames, as values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backtests.engine.result import Rows

LOG_LEVELS = ("debug", "info", "warning", "error")
ERROR_CODES = (
    *("strategy_source", "strategy_error", "looks_ahead", "internal"),
    *("memory_limit", "order_limit", "log_limit", "plot_limit"),
)

MAX_NAME = 80  # characters of a series' or pane's name
MAX_LINE = 2_000  # characters of a log line, a message, a source line
MAX_TRACEBACK = 8_000
MAX_TAG = 64


class FrameError(ValueError):
    """Bytes that are no frame of ours. The sender is broken or hostile; nothing after it is read."""


@dataclass(frozen=True, slots=True)
class StartedFrame:
    """The child has its job and has confined itself; the strategy comes next."""


@dataclass(frozen=True, slots=True)
class ProgressFrame:
    i_bar: int
    n_bars: int
    equity: float | None


@dataclass(frozen=True, slots=True, eq=False)
class OrdersFrame:
    """Rows of the command log (kernels.types.COMMAND), and the tags that are new since the last frame."""

    rows: Rows
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogFrame:
    """(level, i_bar, text) of each line."""

    lines: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class PlotFrame:
    name: str
    pane: str
    i_bar: NDArray[np.int32]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class IndicatorFrame:
    """A piece of an indicator; `start` is the index of its first value, the pieces come in order."""

    name: str
    pane: str
    start: int
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TurnFrame:
    """Of a sealed run: the child is done with the bar that came with this token, and waits for the next."""

    token: bytes


@dataclass(frozen=True, slots=True)
class DoneFrame:
    ledger_hash: str
    n_bars: int


@dataclass(frozen=True, slots=True)
class ErrorFrame:
    code: str
    message: str
    line: int
    source_line: str
    bar_time_ms: int | None
    traceback: str


type Frame = (
    StartedFrame
    | ProgressFrame
    | OrdersFrame
    | LogFrame
    | PlotFrame
    | IndicatorFrame
    | TurnFrame
    | DoneFrame
    | ErrorFrame
)
