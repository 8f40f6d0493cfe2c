"""`make bench`, market data: taking in one month of 1m candles as the exchange publishes it, a zip of 44,640 rows.

CPU seconds: others may be working on the machine. The month is written anew and imported into a home of its own, so
that every round reads, checks, writes and records it in full.
"""

import io
import os
import shutil
import statistics
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

from backtests.engine.request import TIMEFRAME_MS

GOAL_MS = 300.0
ROUNDS = 7
N_ROWS = 44_640  # January
FIRST_MS = 1_735_689_600_000


def write_candles(folder: Path, symbol: str = "BENCHUSDT", timeframe: str = "1m", n_rows: int = N_ROWS) -> Path:
    """January as the exchange publishes it, zipped: twelve columns, a header, prices that walk."""
    name, step_ms = f"{symbol}-{timeframe}-2025-01", TIMEFRAME_MS[timeframe]
    steps = np.random.default_rng(7).normal(0.0, 1e-3, n_rows)
    closes = 50_000.0 * np.exp(np.cumsum(steps))
    opens = np.concatenate(([50_000.0], closes[:-1]))
    lines = ["open_time,open,high,low,close,volume,close_time,quote_volume,count,"
             "taker_buy_volume,taker_buy_quote_volume,ignore"]  # fmt: skip
    for i in range(n_rows):
        first, last = round(float(opens[i]), 1), round(float(closes[i]), 1)
        high, low, volume = max(first, last) + 3.2, min(first, last) - 2.7, 12.345 + i % 97
        at = FIRST_MS + i * step_ms
        lines.append(
            f"{at},{first:.2f},{high:.2f},{low:.2f},{last:.2f},{volume:.3f},{at + step_ms - 1},"
            f"{volume * last:.5f},{100 + i % 900},{volume / 2:.3f},{volume * last / 2:.5f},0"
        )
    path = folder / "futures" / symbol / timeframe / f"{name}.zip"
    path.parent.mkdir(parents=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.csv", "\n".join(lines) + "\n")
    path.write_bytes(buffer.getvalue())
    return path


def measure(path: Path, candles: Path) -> tuple[list[float], list[float]]:
    """CPU and wall ms of each round; every round finds an empty catalogue and no candle file."""
    from marketdata.imports import import_paths  # Django reads its home when the first of these is imported
    from marketdata.models import Instrument

    cpu, wall = [], []
    for _ in range(ROUNDS + 1):
        Instrument.objects.all().delete()
        shutil.rmtree(candles, ignore_errors=True)
        started, started_cpu = time.perf_counter(), time.process_time()
        outcome = import_paths([path])
        cpu.append((time.process_time() - started_cpu) * 1000)
        wall.append((time.perf_counter() - started) * 1000)
        if not outcome.is_complete or outcome.n_rows != N_ROWS:
            raise SystemExit(f"The month was not taken in: {outcome.refusals}")
    return cpu[1:], wall[1:]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="hindsight-bench-") as folder:
        os.environ |= {"HINDSIGHT_HOME": folder, "HINDSIGHT_SECRET_KEY": "bench", "DATABASE_URL": ""}
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        path = write_candles(Path(folder) / "in")
        cpu, wall = measure(path, Path(folder) / "candles")
    middle = statistics.median(cpu)
    state = "met" if middle < GOAL_MS else "missed"
    print(
        f"import of a monthly 1m zip, {N_ROWS:,} rows: {middle:.0f} ms CPU, {statistics.median(wall):.0f} ms in all"
        f" (medians of {ROUNDS}; goal {GOAL_MS:.0f} ms: {state})"
    )
    return 0 if middle < GOAL_MS else 1


if __name__ == "__main__":
    sys.exit(main())
