"""One deterministic year of 1-minute bars: a seeded geometric random walk, its opens slightly off the last close."""

import tomllib
from pathlib import Path

import numpy as np

from backtests.engine.request import Bars, Feed, Instrument, MarginTier, RunRequest, SymbolFeed

YEAR = 525_600
MONTH = 44_640
SEED = 8
FIRST_MS = 1_704_067_200_000  # 2024-01-01
START_PRICE = 42_000.0


def make_bars(n: int) -> Bars:
    """The first `n` bars of the year."""
    rng = np.random.Generator(np.random.PCG64(SEED))
    sigma = 0.6 / np.sqrt(YEAR)  # 60 % a year
    close = np.round(START_PRICE * np.exp(np.cumsum(rng.normal(-0.5 * sigma**2, sigma, YEAR))), 2)
    gap = rng.normal(0, 0.5e-4, YEAR)
    opened = np.round(np.concatenate([[START_PRICE], close[:-1] * (1 + gap[1:])]), 2)
    high = np.round(np.maximum(opened, close) * (1 + np.abs(rng.normal(0, sigma / 2, YEAR))), 2)
    low = np.round(np.minimum(opened, close) * (1 - np.abs(rng.normal(0, sigma / 2, YEAR))), 2)
    volume = np.round(rng.lognormal(2.0, 1.0, YEAR) + 0.1, 3)
    open_ms = FIRST_MS + np.arange(YEAR, dtype=np.int64) * 60_000
    return Bars(open_ms[:n], opened[:n], high[:n], low[:n], close[:n], volume[:n])


def write_series(bars: Bars, file: Path) -> None:
    """As one float64 table, a row a bar: open_ms, open, high, low, close, volume."""
    columns = (bars.open_ms, bars.open, bars.high, bars.low, bars.close, bars.volume)
    np.save(file, np.column_stack([column.astype(np.float64) for column in columns]))


def read_bars(file: str) -> Bars:
    """The bars of a file of write_series."""
    open_ms, *prices = (np.ascontiguousarray(column) for column in np.load(file).T)
    return Bars(open_ms.astype(np.int64), *prices)


def make_request(n: int, fill: str) -> RunRequest:
    return RunRequest.parse(
        {
            "market": "usdm",
            "symbol": "BTCUSDT",
            "timeframe": "1m",
            "from_ms": FIRST_MS,
            "to_ms": FIRST_MS + n * 60_000,
            "initial_balance": 1_000_000,
            "taker_fee": 0.0004,
            "fill": fill,
            "funding": False,
        }
    )


def make_feed(bars: Bars) -> Feed:
    tier = MarginTier(floor=0.0, cap=1e12, maintenance_rate=0.004, max_leverage=125.0, cumulative=0.0)
    return Feed((SymbolFeed(Instrument("BTCUSDT", tiers=(tier,)), bars),))


def find_level(bars: Bars) -> float:
    """The price that the year's closes cross upwards about 1,000 times."""
    levels = np.quantile(bars.close, np.linspace(0.02, 0.98, 400))
    above = bars.close[None, :] > levels[:, None]
    crossings = np.count_nonzero(above[:, 1:] & ~above[:, :-1], axis=1)
    return float(round(levels[int(np.argmin(np.abs(crossings - 1_000)))], 3) + 0.0001)


def find_version() -> str:
    """Our own version."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    return str(project["project"]["version"])
