"""Random scenarios: bars, funding and commands from a seed, and a strategy that follows a script."""

import numpy as np

from backtests.engine.cursor import BarView
from backtests.engine.kernels.types import SizeKind
from backtests.engine.loop import run
from backtests.engine.request import (
    Bars,
    Feed,
    FillPolicy,
    FundingEvents,
    Instrument,
    MarginTier,
    PathRule,
    RunRequest,
    SymbolFeed,
    TradingMarket,
)

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


def make_scenario(seed):
    """(request, feed, script) with everything that market orders can meet."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(30, 90))
    is_spot = rng.random() < 0.25
    n_symbols = int(rng.choice([1, 1, 2, 3]))
    sigma = float(rng.choice([0.004, 0.015, 0.04]))
    symbols = [_make_symbol(rng, i, n, sigma, is_spot) for i in range(n_symbols)]
    request = RunRequest(
        market=TradingMarket.SPOT if is_spot else TradingMarket.USDM,
        symbols=NAMES[:n_symbols],
        timeframe="1m",
        from_ms=START + MINUTE * int(rng.choice([0, 7])),
        to_ms=START + MINUTE * n,
        initial_balance=float(rng.choice([500.0, 10_000.0, 3333.33])),
        leverage=1.0 if is_spot else float(rng.choice([1.0, 5.0, 20.0])),
        max_leverage=1.0 if is_spot else float(rng.choice([20.0, 100.0])),
        taker_fee=float(rng.choice([0.0, 0.0004, 0.003])),
        slippage_bps=float(rng.choice([0.0, 0.0, 3.0, 50.0])),
        fill=FillPolicy(str(rng.choice(["close", "next_open"]))),
        path=PathRule(str(rng.choice(["pessimistic", "optimistic"]))),
        funding=bool(rng.random() < 0.8),
    )
    return request, Feed(tuple(symbols)), _make_script(rng, n, n_symbols, is_spot)


def _make_symbol(rng, i, n, sigma, is_spot):
    bars = make_bars(rng, n, price=[100.0, 7.5, 2100.0][i], sigma=sigma, p_missing=0.05 * (i > 0), p_quiet=0.05)
    mark_bars = None
    if rng.random() < 0.5 and not is_spot:  # a mark that leads its own life near the last price
        drift = np.exp(rng.normal(0, sigma / 3, len(bars)))
        columns = [column * drift for column in (bars.open, bars.high, bars.low, bars.close)]
        keep = rng.random(len(bars)) >= 0.05
        mark_bars = Bars(*(column[keep] for column in (bars.open_ms, *columns, bars.volume)))
    stamps = np.unique(rng.integers(0, n, int(rng.integers(0, 8)))) * MINUTE
    inside = rng.choice([0, 3, -4, 20_000], len(stamps))
    times = np.sort(START + stamps + inside).astype(np.int64)
    times = times[times >= START]
    rates = rng.choice([0.0001, -0.0003, 0.02, -0.05], len(times))
    own = np.where(rng.random(len(times)) < 0.3, bars.close[0] * 1.01, np.nan)
    instrument = Instrument(
        NAMES[i],
        step_size=float(rng.choice([0.001, 0.1, 1e-8])),
        min_qty=float(rng.choice([0.0, 0.5])),
        min_notional=float(rng.choice([0.0, 20.0])),
        liquidation_fee_rate=float(rng.choice([0.0, 0.0125])),
        tiers=() if is_spot else SMALL_TIERS,
    )
    return SymbolFeed(instrument, bars, mark_bars=mark_bars, funding=FundingEvents(times, rates, own))


def _make_script(rng, n, n_symbols, is_spot):
    script = {}
    for i_bar in range(n):
        for _ in range(int(rng.choice([0, 0, 0, 0, 1, 1, 2]))):
            script.setdefault(i_bar, []).append(_make_command(rng, int(rng.integers(n_symbols)), is_spot))
    return script


def _make_command(rng, i_symbol, is_spot):
    leverage = None if is_spot or rng.random() < 0.5 else float(rng.choice([2.0, 10.0, 50.0, 110.0]))
    price = [100.0, 7.5, 2100.0][i_symbol]
    kind = rng.choice(
        ["qty", "notional", "ratio", "close", "target", "cancel_all"], p=[0.3, 0.15, 0.25, 0.15, 0.1, 0.05]
    )
    side = 1 if rng.random() < (0.6 if is_spot else 0.5) else -1
    order = {"side": side, "i_symbol": i_symbol, "leverage": leverage, "is_reduce_only": bool(rng.random() < 0.1)}
    if kind == "qty":
        return "submit", {**order, "size": float(rng.uniform(0, 6000.0) / price)}
    if kind == "notional":
        return "submit", {**order, "size": float(rng.uniform(5, 30_000.0)), "size_kind": SizeKind.NOTIONAL}
    if kind == "ratio":
        size = float(rng.choice([rng.uniform(0.01, 1.0), 1.0]))
        return "submit", {**order, "size": size, "size_kind": SizeKind.EQUITY_RATIO}
    if kind == "close":
        return "close_position", {"i_symbol": i_symbol, "percentage": float(rng.choice([100.0, 100.0, 37.5]))}
    if kind == "target":
        ratio = float(rng.uniform(0, 1.1) if is_spot else rng.uniform(-8, 8))
        return "target_ratio", {"ratio": ratio, "i_symbol": i_symbol, "leverage": leverage}
    return "cancel_all", {"i_symbol": int(rng.choice([-1, i_symbol]))}
