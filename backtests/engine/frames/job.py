"""The job as the child gets it: one file (a sealed memfd where there are such) with a JSON head and the arrays.

u32 big-endian length, the head, padding to 64 bytes, then every array, each aligned to 64 bytes. The child maps it
read-only, so that candles are copied once, whatever the number of processes.
"""

import json
import mmap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtests.engine.frames.table import Table, TableShape, lay_table
from backtests.engine.request import Bars, Feed, FundingEvents, Instrument, MarginTier, RunRequest, SymbolFeed

ALIGNMENT = 64
_BAR_COLUMNS = ("open_ms", "open", "high", "low", "close", "volume", "n_trades")
_FUNDING_COLUMNS = ("time_ms", "rate", "mark_price")


@dataclass(frozen=True, slots=True)
class JobLimits:
    """What the child holds itself to; the parent enforces the same from outside."""

    memory_mb: int
    cpu_s: int
    max_orders: int
    max_log_bytes: int
    max_plot_points: int
    max_tasks: int  # processes and threads of the child's user


@dataclass(frozen=True, slots=True)
class ChildJob:
    """In a sealed run the feed holds no bars: they come one by one into `table`, which lies behind the arrays."""

    source: str
    request: RunRequest
    feed: Feed
    limits: JobLimits
    shape: TableShape | None = None
    table: Table | None = None  # as the child reads it


def job_chunks(job: ChildJob) -> Iterator[bytes | memoryview]:
    """The file's content, piece by piece, arrays without a copy."""
    arrays: list[NDArray[Any]] = []
    symbols = [_symbol_head(symbol, arrays) for symbol in job.feed.symbols]
    head = {
        "source": job.source,
        "request": job.request.to_json(),
        "limits": asdict(job.limits),
        "table": None if job.shape is None else job.shape.to_json(),
        "symbols": symbols,
        "arrays": [{"dtype": array.dtype.str, "n": len(array)} for array in arrays],
    }
    encoded = json.dumps(head).encode()
    yield len(encoded).to_bytes(4, "big") + encoded
    yield b"\0" * _padding(4 + len(encoded))
    for array in arrays:
        yield memoryview(array).cast("B") if len(array) else b""
        yield b"\0" * _padding(array.nbytes)


def read_job(fd: int) -> ChildJob:
    """Map the file and build the job on it: the arrays are read-only views."""
    content = mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
    length = int.from_bytes(content[:4], "big")
    head = json.loads(content[4 : 4 + length])
    offset = 4 + length + _padding(4 + length)
    arrays = []
    for entry in head["arrays"]:
        dtype = np.dtype(entry["dtype"])
        arrays.append(np.frombuffer(content, dtype, entry["n"], offset) if entry["n"] else np.empty(0, dtype))
        n_bytes = entry["n"] * dtype.itemsize
        offset += n_bytes + _padding(n_bytes)
    feed = Feed(tuple(_read_symbol(symbol, arrays) for symbol in head["symbols"]))
    request, limits = RunRequest.parse(head["request"]), JobLimits(**head["limits"])
    if head["table"] is None:
        return ChildJob(head["source"], request, feed, limits)
    shape = TableShape.from_json(head["table"])
    return ChildJob(head["source"], request, feed, limits, shape, lay_table(shape, content, offset))


def hide_bars(feed: Feed) -> Feed:
    """The symbols with their rules and nothing else: the feed that a sealed child gets."""
    nothing = np.empty(0)
    bars = Bars(np.empty(0, np.int64), nothing, nothing, nothing, nothing, nothing)
    return Feed(tuple(SymbolFeed(symbol.instrument, bars) for symbol in feed.symbols))


def _padding(n_bytes: int) -> int:
    return -n_bytes % ALIGNMENT


def _symbol_head(symbol: SymbolFeed, arrays: list[NDArray[Any]]) -> dict[str, Any]:
    """The symbol as JSON, arrays by their index."""
    return {
        "instrument": asdict(symbol.instrument),
        "bars": _columns_head(symbol.bars, _BAR_COLUMNS, arrays),
        "mark_bars": _columns_head(symbol.mark_bars, _BAR_COLUMNS, arrays),
        "fine_bars": _columns_head(symbol.fine_bars, _BAR_COLUMNS, arrays),
        "funding": _columns_head(symbol.funding, _FUNDING_COLUMNS, arrays),
    }


def _columns_head(owner: object, names: tuple[str, ...], arrays: list[NDArray[Any]]) -> dict[str, int] | None:
    if owner is None:
        return None
    head = {}
    for name in names:
        if (column := getattr(owner, name)) is not None:
            head[name] = len(arrays)
            arrays.append(np.ascontiguousarray(column))
    return head


def _read_symbol(head: dict[str, Any], arrays: list[NDArray[Any]]) -> SymbolFeed:
    instrument = dict(head["instrument"])
    instrument["tiers"] = tuple(MarginTier(**tier) for tier in instrument["tiers"])
    return SymbolFeed(
        Instrument(**instrument),
        Bars(**_columns(head["bars"], arrays)),
        None if head["mark_bars"] is None else Bars(**_columns(head["mark_bars"], arrays)),
        None if head["fine_bars"] is None else Bars(**_columns(head["fine_bars"], arrays)),
        FundingEvents(**_columns(head["funding"], arrays)),
    )


def _columns(head: dict[str, int], arrays: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: arrays[index] for name, index in head.items()}
