"""One importer that takes in revised files without end, until somebody kills it."""

import datetime as dt
import os
import random
import shutil
import signal
import uuid
from pathlib import Path

import django
import pandas  # noqa: F401  (what is loaded here, no writer loads)

django.setup()  # once, in the process that all writers are forked from

from marketdata.imports import import_paths  # noqa: E402
from marketdata.store import CandleStore  # noqa: E402
from tests.marketdata.candle_makers import make_candles, write_daily  # noqa: E402

SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT")
TIMEFRAME, N_A_DAY, DAY_MS = "5m", 288, 86_400_000
FIRST_DAY = dt.datetime(2025, 1, 27, tzinfo=dt.UTC)
FIRST_MS = int(FIRST_DAY.timestamp()) * 1000
N_DAYS = 10  # over the end of a month
BASE_PRICE, N_VERSIONS = 1_000, 1_000


def make_day(i_day: int, version: int):
    """The rows of one day in one version, which its first price tells."""
    return make_candles(N_A_DAY, TIMEFRAME, FIRST_MS + i_day * DAY_MS, float(BASE_PRICE + version))


def take_in(folder: Path, symbol: str, days: range, version: int) -> None:
    """Import some days of a symbol, in one version, as the exchange would publish them."""
    paths = [
        write_daily(
            folder,
            f"{FIRST_DAY + dt.timedelta(days=i_day):%Y-%m-%d}",
            make_day(i_day, version),
            symbol=symbol,
            timeframe=TIMEFRAME,
        )
        for i_day in days
    ]
    import_paths(paths)
    shutil.rmtree(folder)


def die_at(n: int) -> None:
    """SIGKILL this process when it comes to its step number `n` of publishing, before or after the step."""
    n_steps = 0

    def count(call):
        def step(*args, **kwargs):
            nonlocal n_steps
            n_steps += 1
            is_last = n_steps == n
            if is_last and n % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*args, **kwargs)
            if is_last:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return step

    os.fsync, os.link, os.replace = count(os.fsync), count(os.link), count(os.replace)
    CandleStore.publish = count(CandleStore.publish)


def write_for_ever(seed: int, folder: Path, is_at_work, dies_at: int) -> None:
    if dies_at:
        die_at(dies_at)
    choose, parent = random.Random(seed), os.getppid()
    while os.getppid() == parent:  # a drill that was killed itself leaves no writers
        is_at_work.value = 1
        first = choose.randrange(N_DAYS)
        days = range(first, choose.randint(first, N_DAYS - 1) + 1)
        take_in(folder / uuid.uuid4().hex, choose.choice(SYMBOLS), days, choose.randrange(N_VERSIONS))
