"""What crosses between a run's child and its parent: the job in, frames out. docs/reference/frames.md lists them."""

from backtests.engine.frames.job import ChildJob, JobLimits, hide_bars, job_chunks, read_job
from backtests.engine.frames.kinds import (
    DoneFrame,
    ErrorFrame,
    Frame,
    FrameError,
    IndicatorFrame,
    LogFrame,
    OrdersFrame,
    PlotFrame,
    ProgressFrame,
    StartedFrame,
    TurnFrame,
)
from backtests.engine.frames.reporter import Reporter, SilentReporter
from backtests.engine.frames.table import Table, TableShape, blank_table, lay_table, table_bytes
from backtests.engine.frames.wire import MAX_FRAME_BYTES, FrameDecoder, decode_frame, encode_frame
from backtests.engine.frames.writer import FrameReporter

__all__ = [
    "MAX_FRAME_BYTES",
    "ChildJob",
    "DoneFrame",
    "ErrorFrame",
    "Frame",
    "FrameDecoder",
    "FrameError",
    "FrameReporter",
    "IndicatorFrame",
    "JobLimits",
    "LogFrame",
    "OrdersFrame",
    "PlotFrame",
    "ProgressFrame",
    "Reporter",
    "SilentReporter",
    "StartedFrame",
    "Table",
    "TableShape",
    "TurnFrame",
    "blank_table",
    "decode_frame",
    "encode_frame",
    "hide_bars",
    "job_chunks",
    "lay_table",
    "read_job",
    "table_bytes",
]
