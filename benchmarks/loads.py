"""What loading candles costs: files into the engine's arrays, longer bars from shorter ones, rows out of the API.

Needs Django to be set up, in a home of its own: market_data.py sees to that. CPU milliseconds, since others may be
working on the machine, and beside them those of a clock on the wall; medians, after one run that warms what may warm.
"""

import gc
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from django.core.management import call_command
from django.test import Client

from accounts.models import User
from backtests.engine.request import Feed, RunRequest
from backtests.runner.feed import build_feed
from benchmarks.series import FIRST_MS, MONTH, YEAR, make_bars
from marketdata.aggregation import build_candles
from marketdata.arrays import CandleArrays
from marketdata.home import candle_store
from marketdata.run_data import RunData
from marketdata.segments import SeriesKey, Source, store_rows
from marketdata.services import load_instruments, resolve_run_data

ROUNDS = 15
N_ASKED = 60  # requests to the API of each kind
HISTORY = "/api/v1/data/history/"


@dataclass(frozen=True)
class Row:
    what: str
    reached: float
    goal: float | None
    wall_ms: float | None = None  # None: no time but a ratio

    def __str__(self) -> str:
        goal = "" if self.goal is None else f"{self.goal:g}"
        state = "" if self.goal is None else "met" if self.reached <= self.goal else "missed"
        wall = "" if self.wall_ms is None else f"{self.wall_ms:.2f}"
        return f"{self.what:<62}{self.reached:>10.2f}{wall:>10}{goal:>8}  {state}".rstrip()


@dataclass(frozen=True)
class Timing:
    """Sorted milliseconds."""

    cpu: list[float]
    wall: list[float]

    def to_row(self, what: str, goal: float | None = None, quantile: float = 0.5) -> Row:
        at = int(len(self.cpu) * quantile)
        return Row(what, self.cpu[at], goal, self.wall[at])


def hold_year() -> None:
    """A year of 1-minute candles as an import would leave them: twelve files, their rows in the database."""
    bars = make_bars(YEAR)
    candles = CandleArrays(
        bars.open_ms, bars.open, bars.high, bars.low, bars.close, bars.volume,
        np.round(bars.volume * bars.close, 5), np.full(YEAR, 100, np.int64), np.round(bars.volume / 2, 3),
    )  # fmt: skip
    store_rows(candle_store(), SeriesKey("usdm", "BTCUSDT", "trade", "1m"), [(Source("made", "0" * 64, YEAR), candles)])


def pin(timeframe: str, n_minutes: int) -> tuple[RunData, RunRequest]:
    to_ms = FIRST_MS + n_minutes * 60_000
    raw = {"market": "usdm", "symbol": "BTCUSDT", "timeframe": timeframe, "from_ms": FIRST_MS, "to_ms": to_ms}
    request = RunRequest.parse({**raw, "funding": False})
    return resolve_run_data("usdm", ["BTCUSDT"], timeframe, FIRST_MS, to_ms, funding=False), request


def clock(work: Callable[[], object], rounds: int = ROUNDS, before: Callable[[], object] | None = None) -> Timing:
    cpu, wall = [], []
    for _ in range(rounds + 1):
        if before is not None:
            before()
        started, started_cpu = time.perf_counter(), time.process_time()
        work()
        cpu.append((time.process_time() - started_cpu) * 1000)
        wall.append((time.perf_counter() - started) * 1000)
    return Timing(sorted(cpu[1:]), sorted(wall[1:]))


def measure_loads(home: Path) -> list[Row]:
    month, year, hours = pin("1m", MONTH), pin("1m", YEAR), pin("1h", YEAR)

    def load(data: RunData, request: RunRequest) -> Feed:
        return build_feed(data, request, candle_store())

    def forget() -> None:
        shutil.rmtree(home / "cache", ignore_errors=True)

    memory = measure_memory(load, *year)  # first: later there is freed memory to use again
    bars = make_bars(YEAR)
    columns = {name: getattr(bars, name) for name in ("open_ms", "open", "high", "low", "close", "volume")}
    return [
        clock(lambda: load(*month)).to_row("a month of 1m into engine arrays, warm", 5),
        clock(lambda: load(*month), before=forget).to_row("the same, cold: checked and unpacked", 50),
        clock(lambda: load(*year)).to_row("a year of 1m into engine arrays, warm", 40),
        Row("the same, memory at its peak over the size of its arrays", memory, 1.5),
        clock(lambda: load(*hours)).to_row("a year of 1h bars built from 1m, files to engine arrays"),
        clock(lambda: build_candles(columns, "1h")).to_row("1m to 1h of a year, arrays to arrays"),
        clock(lambda: pin("1h", YEAR)).to_row("choosing, counting and pinning what a year of 1h reads"),
    ]


def measure_memory(load: Callable[[RunData, RunRequest], Feed], data: RunData, request: RunRequest) -> float:
    """The most that the process grew while loading, mapped pages and all, over the bytes of the arrays."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = read_status("VmRSS")
    bars = load(data, request).symbols[0].bars
    n_bytes: int = sum(getattr(bars, name).nbytes for name in bars.__slots__)
    return (read_status("VmHWM") - before) / n_bytes


def read_status(name: str) -> int:
    """Bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


def measure_history() -> list[Row]:
    """The slowest of twenty requests, from the address to the bytes of the answer, middleware and all."""
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_user("bench@example.org", "correct horse"))
    rows = []
    for timeframe in ("1m", "1h", "1d"):
        query = {"market": "usdm", "symbol": "BTCUSDT", "timeframe": timeframe, "limit": "1000"}
        if timeframe != "1d":
            query["start_date"] = "2024-06-20"
        answer = client.get(HISTORY, query)
        if answer.status_code != 200:
            raise SystemExit(f"{HISTORY} answers {answer.status_code}: {answer.content!r:.200}")
        n_rows = len(answer.json()["candles"])
        taken = clock(partial(client.get, HISTORY, query), N_ASKED)
        built = "" if timeframe == "1m" else " built from 1m"
        what = f"history API, {n_rows:,} rows of {timeframe}{built}, 95th percentile"
        rows.append(taken.to_row(what, 50, 0.95))
    return rows


def main(home: str) -> int:
    call_command("migrate", verbosity=0)
    load_instruments()
    hold_year()
    print(f"\n{'loading market data':<62}{'CPU ms':>10}{'wall ms':>10}{'goal':>8}")
    for measure in (partial(measure_loads, Path(home)), measure_history):
        print(*measure(), sep="\n", flush=True)
    return 0
