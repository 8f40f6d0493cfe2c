"""Random scenarios: a request, a feed and a script from a seed, with everything that a run can meet."""

import numpy as np

from backtests.engine.kernels.types import SizeKind
from backtests.engine.request import (
    Bars,
    Feed,
    FillPolicy,
    FundingEvents,
    Instrument,
    LimitFill,
    MarginMode,
    PathRule,
    RunRequest,
    SymbolFeed,
    TradingMarket,
)
from backtests.engine.strategy.targets import Targets
from tests.engine.scenarios import MINUTE, NAMES, SMALL_TIERS, START, make_bars

ALL = frozenset(
    (
        *("paths", "attached", "trailing", "sets", "modify", "cap", "cross", "finer", "ticks"),
        *("target exits", "capped modify", "capped targets"),
    )
)
BUILT = ALL
STEP = 5  # finest bars in a bar of a run with finer bars
PRICES = (100.0, 7.5, 2100.0)
COLUMNS = ("open", "high", "low", "close")


def make_scenario(seed, features=BUILT):
    """(request, feed, script) of a seed."""
    rng = np.random.default_rng(seed)
    is_finer = "finer" in features and rng.random() < 0.2
    n = int(rng.integers(6, 12)) * STEP if is_finer else int(rng.integers(15, 45))
    is_spot = rng.random() < 0.25
    n_symbols = int(rng.choice([1, 1, 2, 3]))
    sigma = float(rng.choice([0.004, 0.015, 0.04]))
    symbols = [_make_symbol(rng, i, n, sigma, is_spot, features) for i in range(n_symbols)]
    if is_finer:
        symbols = [SymbolFeed(s.instrument, coarse(s.bars), s.mark_bars, s.bars, s.funding) for s in symbols]
    is_cross = "cross" in features and not is_spot and rng.random() < 0.5
    has_cap = "cap" in features and rng.random() < 0.3
    length = STEP * MINUTE if is_finer else MINUTE
    request = RunRequest(
        market=TradingMarket.SPOT if is_spot else TradingMarket.USDM,
        symbols=NAMES[:n_symbols],
        timeframe="5m" if is_finer else "1m",
        intrabar_timeframe="1m" if is_finer else None,
        from_ms=START + length * int(rng.choice([0, 2])),
        to_ms=START + MINUTE * n,
        initial_balance=float(rng.choice([500.0, 10_000.0, 3333.33])),
        margin_mode=MarginMode.CROSS if is_cross else MarginMode.ISOLATED,
        leverage=1.0 if is_spot else float(rng.choice([1.0, 5.0, 20.0])),
        max_leverage=1.0 if is_spot else float(rng.choice([20.0, 100.0])),
        maker_fee=float(rng.choice([0.0002, 0.0, 0.001])),
        taker_fee=float(rng.choice([0.0, 0.0004, 0.003])),
        slippage_bps=float(rng.choice([0.0, 0.0, 3.0, 50.0])),
        fill=FillPolicy(str(rng.choice(["close", "next_open"]))),
        path=PathRule(str(rng.choice(["pessimistic", "optimistic"]))),
        limit_fill=LimitFill(str(rng.choice(["touch", "touch", "through"]))),
        participation_cap=float(rng.choice([0.05, 0.5])) if has_cap else None,
        funding=bool(rng.random() < 0.8),
    )
    feed = Feed(tuple(symbols))
    return request, feed, _Writer(rng, request, feed, sigma, features).write()


def make_targets(seed, features=BUILT):
    """(request, feed, targets) of a seed: values that stay for some bars, in any unit."""
    request, feed, _ = make_scenario(seed, features if "capped targets" in features else features - {"cap"})
    rng = np.random.default_rng(seed)
    n = len({int(t) for s in feed.symbols for t in s.bars.open_ms if t < request.to_ms})
    is_spot = request.market == TradingMarket.SPOT
    unit, scale = [
        ("equity_ratio", 1.0 if is_spot else 6.0),
        ("qty", request.initial_balance * (0.9 if is_spot else 3.0) / PRICES[0]),
        ("notional", request.initial_balance * (0.9 if is_spot else 3.0)),
    ][int(rng.integers(3))]
    values = scale * rng.choice([0.0, rng.uniform(), -rng.uniform() * (not is_spot), rng.uniform()], n)
    values[rng.random(n) < 0.6] = np.nan
    has_exits = "target exits" in features
    return (
        request,
        feed,
        Targets(
            values,
            unit=unit,
            leverage=None if rng.random() < 0.5 else float(rng.choice([1.0, 1.0 if is_spot else 10.0])),
            rebalance_band=scale * 0.05 if unit != "qty" and rng.random() < 0.5 else None,
            stop_loss_ratio=float(rng.uniform(0.002, 0.04)) if has_exits and rng.random() < 0.5 else None,
            take_profit_ratio=float(rng.uniform(0.002, 0.04)) if has_exits and rng.random() < 0.5 else None,
        ),
    )


def coarse(bars):
    """Five bars into one; where the first is missing, from the next that is there."""
    group = (bars.open_ms - START) // (STEP * MINUTE)
    first = np.flatnonzero(np.diff(group, prepend=-1))
    last = np.append(first[1:], len(group)) - 1
    return Bars(
        START + group[first] * STEP * MINUTE,
        bars.open[first],
        np.maximum.reduceat(bars.high, first),
        np.minimum.reduceat(bars.low, first),
        bars.close[last],
        np.add.reduceat(bars.volume, first),
    )


def _make_symbol(rng, i, n, sigma, is_spot, features):
    bars = make_bars(rng, n, price=PRICES[i], sigma=sigma, p_missing=0.05 * (i > 0), p_quiet=0.05)
    tick = float(rng.choice([0.0, 0.01, PRICES[i] / 1000]))
    if tick and rng.random() < 0.5 and "ticks" in features:
        bars = _on_ticks(bars, tick)
    bars = Bars(bars.open_ms, *(getattr(bars, name) for name in COLUMNS), bars.volume * 200 / PRICES[i])
    mark_bars = None
    if rng.random() < 0.5 and not is_spot:  # a mark that leads its own life near the last price
        drift = np.exp(rng.normal(0, sigma / 3, len(bars)))
        columns = [getattr(bars, name) * drift for name in COLUMNS]
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
        tick_size=tick,
        step_size=float(rng.choice([0.001, 0.1, 1e-8])),
        min_qty=float(rng.choice([0.0, 0.5])),
        min_notional=float(rng.choice([0.0, 20.0])),
        liquidation_fee_rate=float(rng.choice([0.0, 0.0125])),
        tiers=() if is_spot else SMALL_TIERS,
    )
    return SymbolFeed(instrument, bars, mark_bars=mark_bars, funding=FundingEvents(times, rates, own))


def _on_ticks(bars, tick):
    """The same bars with prices as an exchange writes them: decimal multiples of the tick."""
    columns = [np.round(np.round(getattr(bars, name) / tick) * tick, 8) for name in COLUMNS]
    return Bars(bars.open_ms, *columns, bars.volume)


class _Writer:
    """Writes the commands of a run, with prices near those of the bars."""

    def __init__(self, rng, request, feed, sigma, features):
        self.rng, self.request, self.feed, self.sigma, self.features = rng, request, feed, sigma, features
        self.is_spot = request.market == TradingMarket.SPOT
        self.steps = sorted({int(t) for s in feed.symbols for t in s.bars.open_ms if t < request.to_ms})
        self.n_orders = 0

    def write(self):
        script = {}
        for i_step, time in enumerate(self.steps):
            for _ in range(int(self.rng.choice([0, 0, 0, 1, 1, 2]))):
                i_symbol = int(self.rng.integers(len(self.feed.symbols)))
                call = self._command(i_symbol, self._close(i_symbol, time))
                script.setdefault(i_step, []).append(call)
        return script

    def _close(self, i_symbol, time):
        bars = self.feed.symbols[i_symbol].bars
        return float(bars.close[np.searchsorted(bars.open_ms, time, side="right") - 1])

    def _has(self, feature, share):
        return feature in self.features and bool(self.rng.random() < share)

    def _near(self, price, side, *, wrong=0.05):
        """A price some way off, on the side asked for; at times on the other one."""
        distance = self.sigma * self.rng.uniform(0.1, 2.5)
        return float(price * (1 + distance * (-side if self.rng.random() < wrong else side)))

    def _command(self, i_symbol, close):
        if self.n_orders and self._has("modify", 0.1):
            return self._modify(close)
        if self._has("sets", 0.1):
            name, side = ("set_stop_loss", -1) if self.rng.random() < 0.5 else ("set_take_profit", 1)
            self.n_orders += 1
            return name, {"price": self._near(close, side, wrong=0.4), "i_symbol": i_symbol}
        kind = self.rng.choice(
            ["qty", "notional", "ratio", "close", "target", "cancel", "cancel_all"],
            p=[0.34, 0.13, 0.24, 0.12, 0.08, 0.05, 0.04],
        )
        if kind == "cancel_all":
            return "cancel_all", {"i_symbol": int(self.rng.choice([-1, i_symbol]))}
        if kind == "cancel":
            return "cancel", {"order_id": int(self.rng.integers(self.n_orders + 1))}
        self.n_orders += 1
        if kind == "close":
            return "close_position", {"i_symbol": i_symbol, "percentage": float(self.rng.choice([100.0, 100.0, 37.5]))}
        leverage = None if self.is_spot or self.rng.random() < 0.5 else float(self.rng.choice([2.0, 10.0, 50.0, 110.0]))
        if kind == "target":
            ratio = float(self.rng.uniform(0, 1.1) if self.is_spot else self.rng.uniform(-8, 8))
            return "target_ratio", {"ratio": ratio, "i_symbol": i_symbol, "leverage": leverage}
        return "submit", {**self._size(kind, close), "i_symbol": i_symbol, "leverage": leverage, **self._order(close)}

    def _size(self, kind, close):
        if kind == "qty":
            return {"size": float(self.rng.uniform(0, 6000.0) / close)}
        if kind == "notional":
            return {"size": float(self.rng.uniform(5, 30_000.0)), "size_kind": SizeKind.NOTIONAL}
        size = float(self.rng.choice([self.rng.uniform(0.01, 1.0), 1.0]))
        return {"size": size, "size_kind": SizeKind.EQUITY_RATIO}

    def _order(self, close):
        side = 1 if self.rng.random() < (0.6 if self.is_spot else 0.5) else -1
        words = {"side": side}
        base = close
        if self._has("paths", 0.3):
            words["stop_price"] = base = self._near(close, side)
        if self._has("paths", 0.4):
            words["limit_price"] = base = self._near(base, -side, wrong=0.3)
            words["is_post_only"] = bool(self.rng.random() < 0.2)
        if self._has("paths", 0.15):
            words["good_for_bars"] = int(self.rng.integers(1, 6))
        if self.rng.random() < 0.1:
            words["is_reduce_only"] = True
            return words
        return {**words, **self._attached(base, side)}

    def _attached(self, base, side):
        words = {}
        if self._has("attached", 0.35):
            words["stop_loss"] = self._near(base, -side, wrong=0.03)
        if self._has("attached", 0.25):
            words["take_profit"] = self._near(base, side, wrong=0.03)
        elif self._has("attached", 0.15):
            shares = [(0.25, 0.75), (0.5, 0.3), (0.2, 0.3, 0.5), (0.1, 0.1)][int(self.rng.integers(4))]
            words["take_profit"] = [(share, self._near(base, side, wrong=0.0)) for share in shares]
        if self._has("trailing", 0.2):
            words["trailing_ratio"] = float(self.sigma * self.rng.uniform(0.2, 3.0))
        return words

    def _modify(self, close):
        words = {"order_id": int(self.rng.integers(self.n_orders * 2))}
        side = float(self.rng.choice([-1.0, 1.0]))
        which = self.rng.random()
        if self.request.participation_cap is not None and "capped modify" not in self.features:
            which = which * 0.8  # prices only
        if which < 0.4:
            words["limit_price"] = self._near(close, side)
        elif which < 0.8:
            words["stop_price"] = self._near(close, side)
        else:
            words["qty"] = float(self.rng.uniform(0, 6000.0) / close)
        return "modify", words
