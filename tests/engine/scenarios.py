"""Random bars, and a strategy that follows a script. (Whole random runs: random_runs.py.)"""

from contextlib import suppress

import numpy as np

from backtests.engine.cursor import BarView
from backtests.engine.errors import OrderError
from backtests.engine.loop import run
from backtests.engine.request import Bars, MarginTier

MINUTE = 60_000
START = 1_735_689_600_000
NAMES = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


def make_tiers(*bounds):
    """(floor, rate, max leverage), ... -> tiers whose cumulative amounts make maintenance margin continuous."""
    tiers, cumulative, last_rate = [], 0.0, None
    for i, (floor, rate, leverage) in enumerate(bounds):
        cumulative += floor * (rate - last_rate) if last_rate is not None else 0.0
        cap = bounds[i + 1][0] if i + 1 < len(bounds) else 1e12
        tiers.append(MarginTier(floor, cap, rate, leverage, cumulative))
        last_rate = rate
    return tuple(tiers)


SMALL_TIERS = make_tiers((0.0, 0.004, 125.0), (4000.0, 0.01, 50.0), (20_000.0, 0.025, 20.0), (60_000.0, 0.1, 5.0))


class Script:
    """A bound strategy that makes the calls of a script, {i_step: [(name, fields), ...]}, and notes what it hears."""

    def __init__(self, script=None, on_event=None):
        self.script = script or {}
        self.heard = []
        self.is_listening = on_event is not None
        self.plan = None
        self._on_event = on_event
        self.finished_at = None

    def bind(self, account, reporter=None):
        self.account = account
        columns, fresh = account.bar_columns(0)
        return BarView(account.request.symbol, account.cursor, account.open_ms, columns, fresh)

    def on_data(self, data):
        for name, fields in self.script.get(self.account.cursor.i_bar, ()):
            with suppress(OrderError):  # a call that can be no order is none
                getattr(self.account, name)(**fields)

    def on_event(self, kind, i_row):
        self.heard.append((self.account.cursor.i_bar, kind, i_row))
        self._on_event(self, kind, i_row)

    def on_finish(self):
        self.finished_at = self.account.cursor.i_bar


def play(script, request, feed):
    """(result, command log) of a script."""
    strategy = Script(script)
    result = run(strategy, request, feed)
    return result, strategy.account.command_log()


def make_bars(rng, n, *, price=100.0, sigma=0.01, p_missing=0.0, p_quiet=0.0, start=START):
    close = price * np.exp(np.cumsum(rng.normal(0, sigma, n)))
    opened = np.append(price, close[:-1]) * np.exp(rng.normal(0, sigma / 4, n))
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, sigma, n)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, sigma, n)))
    volume = np.where(rng.random(n) < p_quiet, 0.0, rng.uniform(1, 9, n))
    keep = rng.random(n) >= p_missing
    keep[0] = True
    times = start + MINUTE * np.arange(n, dtype=np.int64)
    return Bars(*(column[keep] for column in (times, opened, high, low, close, volume)))
