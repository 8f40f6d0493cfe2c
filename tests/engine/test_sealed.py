"""A sealed run gives what a draft gives, to the bit, and never has a bar that has not come."""

import math

import numpy as np
import pandas_ta as ta
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests.engine.errors import LookAheadError, OrderError
from backtests.engine.frames import SilentReporter
from backtests.engine.request import RunRequest
from backtests.engine.strategy import Strategy, crossed_above, crossed_below
from tests.engine.random_runs import make_scenario, make_targets
from tests.engine.sealed_stage import run_both, seal
from tests.engine.strategy_stage import make_bars, make_feed, make_request
from tests.golden.cases import EXAMPLES, case_names, load_case
from tests.golden.feeds import make_feed as make_golden_feed


def walk(n=300, seed=5):
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, n)))


def strategy(body):
    return "import numpy as np\nimport talib\nclass Mine(Strategy):\n" + body


@pytest.mark.parametrize("name", case_names())
def test_every_golden_case_is_the_same_sealed(name):
    case = load_case(name)
    request = RunRequest.parse(case.facts["request"])
    source = (EXAMPLES / f"{case.facts['strategy']}.py").read_text()
    _, result = run_both(source, request, make_golden_feed(request, case.facts["feed"]))
    assert result.result_hash() == case.expected["result_hash"]


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.py")))
@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_every_sample_strategy_is_the_same_sealed_on_both_markets(name, market):
    feed = make_feed(make_bars(walk(160)), market=market)
    request = make_request(feed, market=market, warmup_bars=20)
    run_both((EXAMPLES / f"{name}.py").read_text(), request, feed)


class Scripted(Strategy):
    """Makes the calls of a script, and looks at everything there is to see."""

    larger = "5m"

    def __init__(self, script):
        self.script, self.seen = script, []

    def initialize(self):
        self.fast = self.indicator(ta.sma, "close", length=3)
        self.own = [self.indicator(lambda close: close.diff(), "close", symbol=symbol) for symbol in self.symbols]
        self.look()

    def look(self):
        for symbol in self.symbols:
            bar = self.bars[symbol]
            self.note(bar.time_ms, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.is_fresh)
            self.note(self.get_position_size(symbol), self.get_entry_price(symbol), self.get_unrealized_pnl(symbol))
            self.note(self.get_liquidation_price(symbol), self.get_leverage(symbol))
            for timeframe in (None, self.larger, "15m"):
                self.note(self.history(4, "time_ms", symbol, timeframe).tolist())
                self.note(self.history(3, symbol=symbol, timeframe=timeframe).to_dict())
        self.note(self.get_cash(), self.get_equity(), self.portfolio.available_balance, self.every("5m"))
        self.note(len(self.fast), self.fast.value, self.fast[-2], self.fast[-4:].tolist())
        self.note([line.value for line in self.own], crossed_above(self.fast, self.own[0]))
        self.note(crossed_above(self.fast, 100.0), crossed_below(self.fast, self.bars[self.symbols[0]].close))

    def note(self, *facts):
        self.seen.append(repr(facts))

    def on_data(self, data):
        self.look()
        self.note(self.get_margin_ratio())
        for name, fields in self.script.get(self._session.account.i_bar, ()):
            try:
                self.note(getattr(self._session.account, name)(**fields))
            except OrderError as error:
                self.note(str(error))
        self.note(len(self._session.account.fills), self.get_equity())


class Listening(Scripted):
    def on_order(self, order):
        self.note(repr(order))

    def on_fill(self, fill):
        self.note(repr(fill))

    def on_trade_closed(self, trade):
        self.note(repr(trade))
        if trade.pnl < 0:
            self.buy(notional=self.get_equity() * 0.1, tag="again")

    def on_funding(self, payment):
        self.note(repr(payment))

    def on_liquidation(self, trade):
        self.note(repr(trade))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), is_listening=st.booleans())
def test_whatever_is_ordered_whatever_comes_a_sealed_run_sees_and_gives_what_a_draft_does(seed, is_listening):
    request, feed, script = make_scenario(seed)
    run_both(lambda: (Listening if is_listening else Scripted)(script), request, feed)


class Wanting(Strategy):
    def __init__(self, wanted):
        self.wanted = wanted

    def targets(self, candles):
        n = len(candles)
        values = np.full(n, np.nan)
        values[: len(self.wanted.values)] = self.wanted.values[:n]
        return type(self.wanted)(
            values,
            unit=self.wanted.unit,
            leverage=self.wanted.leverage,
            rebalance_band=self.wanted.rebalance_band,
            stop_loss_ratio=self.wanted.stop_loss_ratio,
            take_profit_ratio=self.wanted.take_profit_ratio,
        )


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_targets_of_any_kind_come_to_the_same_orders(seed):
    request, feed, wanted = make_targets(seed)
    run_both(lambda: Wanting(wanted), request, feed)


INDICATORS = """
    def initialize(self):
        def own(high, low):
            return (high + low).rolling(9).mean()
        self.lines = [
            self.indicator(ta.sma, "close", length=5),
            self.indicator(ta.ema, "volume", length=7),
            *self.indicator(ta.macd, "close"),
            *self.indicator(ta.bbands, "close", length=20),
            self.indicator(ta.rsi, "close", length=9),
            self.indicator(ta.atr, "high", "low", "close"),
            self.indicator(ta.roc, "close", length=3),
            self.indicator(ta.mom, "close", length=3),
            self.indicator(talib.EMA, "close", timeperiod=6),
            *self.indicator(talib.MACD, "close", fastperiod=3, slowperiod=8, signalperiod=3),
            self.indicator(talib.STDDEV, "close", timeperiod=6),
            self.indicator(own, "high", "low"),
            self.indicator(own, "high", "low", symbol=self.symbols[-1], name="other"),
        ]
        self.lines.append(self.indicator(ta.ema, self.lines[0], length=4))
        self.lines.append(self.indicator(lambda line: line.cumsum(), self.lines[-1]))
        self.seen = []

    def on_data(self, data):
        self.seen.append(repr([(line.name, line.value, line[-2]) for line in self.lines]))
        if crossed_above(self.lines[0], self.lines[-2]):
            self.buy(equity_ratio=0.5, tag="up")
        elif crossed_below(self.lines[0], self.lines[-2]):
            self.close_position()
"""


@pytest.mark.parametrize(("n", "warmup_bars", "skip"), [(150, 0, ()), (150, 60, (70, 71, 90)), (1_100, 30, ())])
def test_indicators_of_the_house_of_pandas_ta_of_talib_and_of_ones_own_have_the_same_values(n, warmup_bars, skip):
    feed = make_feed(make_bars(walk(n)), make_bars(walk(n, 6), skip=skip))
    session, _ = run_both(strategy(INDICATORS), make_request(feed, warmup_bars=warmup_bars), feed)
    assert len(session.account.command_log().rows) > 5


def test_targets_share_indicators_with_holes_and_other_symbols():
    source = strategy("""
    def targets(self, candles):
        other = candles.of("ETHUSDT")
        mean = candles.indicator(ta.sma, "close", length=7)
        swing = candles.indicator(ta.atr, "high", "low", "close", length=5)
        theirs = other.indicator(ta.ema, "close", length=5)
        doubled = candles.indicator(lambda line: line * 2, mean, plot=False)
        up = candles.crossings(candles.close, mean)
        is_in = (up == 1) & (theirs < 2 * other.close) & (doubled > swing)
        return Targets(np.where(is_in, 0.5, np.where(up == -1, 0, np.nan)))
""")
    feed = make_feed(make_bars(walk(150)), make_bars(walk(150, 6), skip=(3, 40, 41)))
    session, _ = run_both(source, make_request(feed, warmup_bars=10), feed)
    assert len(session.account.command_log().rows) > 5


LOOKERS = {
    "a centred window": ("self.indicator(lambda c: c.rolling(5, center=True).mean(), 'close', name='mid')", "mid"),
    "a shift": ("self.indicator(lambda c: c.shift(-1), 'close', name='next')", "next"),
    "a whole-sample mean": ("self.indicator(lambda c: c - c.mean(), 'close', name='from mean')", "from mean"),
}


@pytest.mark.parametrize("name", LOOKERS)
def test_an_indicator_that_looks_ahead_fails_with_its_name_line_and_bar(name):
    call, line_name = LOOKERS[name]
    source = strategy(f"    def initialize(self):\n        {call}\n    def on_data(self, data): pass\n")
    feed = make_feed(make_bars(walk(40)))
    with pytest.raises(LookAheadError, match=f"{line_name} looks ahead: at the bar of 2025-01-01") as caught:
        seal(source, make_request(feed), feed)
    assert caught.value.line == 5
    assert caught.value.bar_time_ms in feed.symbols[0].bars.open_ms


def test_targets_that_look_ahead_fail_with_the_bar():
    body = (
        "    def targets(self, candles):\n        return np.where(np.append(np.diff(candles.close), 0) > 0, 1.0, 0.0)\n"
    )
    feed = make_feed(make_bars(walk(40)))
    with pytest.raises(LookAheadError, match="targets looks ahead") as caught:
        seal(strategy(body), make_request(feed), feed)
    assert caught.value.line == 4


class Nosy(Strategy):
    """Looks at all the numbers that its process has, at every bar."""

    def initialize(self):
        self.line = self.indicator(ta.sma, "close", length=3)
        self.on_data(None)

    def on_data(self, data):
        account = self._session.account
        i_bar, market = account.cursor.i_bar, account.table.market
        columns = [
            *market.last,
            *market.mark,
            *account.table.columns,
            account.table.marks,
            self.line._values[None, :-1],
        ]
        for column in columns:
            n_behind = i_bar + 1 if column.shape[1] == account.n_bars else int(market.first_fine[i_bar + 1])
            assert np.isnan(column[:, n_behind:]).all()
        assert not market.step_ms[i_bar + 1 :].any()
        assert math.isnan(self.bars[self.symbol].close) == (i_bar < 0)
        due = market.funding[market.funding["i_fine"] < 2**62]
        assert (due["i_fine"] < market.first_fine[i_bar + 1]).all()
        assert not market.funding["rate"][len(due) :].any()
        assert all(len(symbol.bars) == 0 and not len(symbol.funding) for symbol in account.feed.symbols)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_nothing_of_a_bar_is_there_before_its_turn(seed):
    request, feed, _ = make_scenario(seed)
    seal(Nosy, request, feed, SilentReporter())
