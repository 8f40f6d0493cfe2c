"""What makes no sense is an error, or a rejected order, with a code and a text; and the state stays consistent."""

import math
from dataclasses import replace

import numpy as np
import pytest

from backtests.engine import (
    Bars,
    DataError,
    Feed,
    FundingEvents,
    Instrument,
    MarginTier,
    OrderError,
    RequestError,
    RunRequest,
    StrategyRunError,
    SymbolFeed,
)
from backtests.engine.loop import run
from backtests.engine.replay import replay
from backtests.engine.strategy import Session, load_strategy
from tests.engine.market_stage import QUIET, bars_of
from tests.engine.strategy_stage import make_bars, make_feed, make_request, play, seen

NAN, INF = math.nan, math.inf
NO_NUMBERS = (NAN, INF, -INF, -1.0, 0.0, "1", None, [1], True)
CALLS = {
    "amount": "self.buy({})",
    "notional": "self.sell(notional={})",
    "equity_ratio": "self.buy(equity_ratio={})",
    "leverage": "self.buy(0.1, leverage={})",
    "limit": "self.buy(0.1, limit={})",
    "stop": "self.sell(0.1, stop={})",
    "stop_loss": "self.buy(0.1, stop_loss={})",
    "take_profit": "self.buy(0.1, take_profit={})",
    "trailing_ratio": "self.buy(0.1, trailing_ratio={})",
    "good_for_bars": "self.buy(0.1, good_for_bars={})",
    "percentage": "self.close_position({})",
    "set_stop_loss": "self.set_stop_loss({})",
    "set_take_profit": "self.set_take_profit({})",
}
OPTIONAL = {"leverage", "limit", "stop", "stop_loss", "take_profit", "trailing_ratio", "good_for_bars"}


@pytest.mark.parametrize("word", CALLS)
@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_a_word_that_is_no_number_above_zero_is_an_error_and_nothing_has_happened(word, value):
    if value is None and word in OPTIONAL:
        return  # "not given"
    if value == [1] and word == "take_profit":
        return  # a list is another way to say it; its own errors are in test_strategy_orders
    text = {NAN: "float('nan')"}.get(value) if isinstance(value, float) and math.isnan(value) else None
    text = text or (f"float('{value}')" if isinstance(value, float) and math.isinf(value) else repr(value))
    found = seen(
        f"""
        def on_data(self, data):
            try:
                {CALLS[word].format(text)}
            except Exception as error:
                self.seen.append((type(error).__name__, str(error)))
            self.seen.append((self.get_cash(), self.get_position_size()))
        """,
        closes=(100, 101),
    )
    assert [row[0] for row in found] == ["OrderError", 10_000] * 2
    assert all(len(message) > 15 for kind, message in found if kind == "OrderError")


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("buy(1e300)", "INVALID_QTY"),
        ("sell(notional=1e300)", "INVALID_QTY"),
        ("target_ratio(1e300)", "INVALID_QTY"),
        ("buy(1, leverage=1e300)", "LEVERAGE_ABOVE_LIMIT"),
        ("buy(1e-12)", "BELOW_MIN_QTY"),
        ("buy(1e6)", "INSUFFICIENT_MARGIN"),
    ],
)
def test_absurd_numbers_are_rejected_with_a_reason(call, reason):
    body = (
        f"def on_data(self, data):\n    order = self.{call}\n    self.seen.append((bool(order), order.reject_reason))"
    )
    assert seen(body, closes=(100, 101)) == [(False, reason)] * 2


def test_errors_that_a_strategy_catches_leave_a_run_that_replays():
    body = """
    def initialize(self): pass
    def on_data(self, data):
        for call in (lambda: self.buy(1, notional=5), lambda: self.buy(-1), lambda: self.buy(1, symbol="NOSUCH"),
                     lambda: self.order.modify(qty=2), lambda: self.buy(1, leverage=0), lambda: self.buy(1e9)):
            try:
                call()
            except Exception:
                pass
        if self.i_bar in (0, 3): self.order = self.buy(1)
        if self.i_bar == 2: self.close_position()
    """
    session, result, _ = play(body)
    assert [int(i) for i in result.fills["i_bar"]] == [0, 2, 3]
    log = session.account.command_log()
    assert len(log.rows) == 3 + 6  # what was refused by the rules is logged; what was no order is not
    assert replay(session.account.request, session.account.feed, log).result_hash() == result.result_hash()


@pytest.mark.parametrize("symbol", ["NOSUCH", "btcusdt", "", 0, None])
def test_symbols_outside_the_run_are_errors_everywhere(symbol):
    calls = "self.buy(1, symbol=s)|self.close_position(symbol=s)|self.set_stop_loss(1, s)|self.cancel_all(s)"
    calls += "|self.get_position_size(s)|self.history(3, symbol=s)|self.target_ratio(0.1, symbol=s)"
    for call in calls.split("|"):
        if symbol is None:
            continue  # the primary one
        with pytest.raises(OrderError, match="not in this run"):
            play(f"def initialize(self): pass\ndef on_data(self, data):\n    s = {symbol!r}\n    {call}")


def test_the_bar_of_an_unknown_symbol_is_an_error():
    with pytest.raises(KeyError, match="not in this run"):
        play("def initialize(self): pass\ndef on_data(self, data): self.bars['NOSUCH']")


@pytest.mark.parametrize("given", ["values[:-1]", "[1.0]", "values[1:].to_numpy()", "3.0", "None", "'text'"])
def test_an_indicator_of_the_wrong_length_is_an_error_in_initialize(given):
    body = f"""
    def initialize(self): self.x = self.indicator(lambda values: {given}, "close")
    def on_data(self, data): self.seen.append(1)
    """
    with pytest.raises(StrategyRunError, match=r"returned|has|values"):
        play(body)


# What a run is fed with.
def bars(**columns):
    return replace(bars_of([QUIET, QUIET, QUIET]), **{name: np.array(values) for name, values in columns.items()})


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"open_ms": [0, 120_000, 60_000]}, "Bar 2 .* does not come after"),
        ({"open_ms": [0, 60_000, 60_000]}, "Bar 2 .* does not come after"),
        ({"open": [100.0, NAN, 100.0]}, "Bar 1 has a open that is not a number"),
        ({"close": [100.0, 100.0, INF]}, "Bar 2 has a close"),
        ({"volume": [1.0, NAN, 1.0]}, "Bar 1 has a volume that is not a number"),
        ({"volume": [1.0, -1.0, 1.0]}, "Bar 1 has a negative volume"),
        ({"low": [100.0, 0.0, 100.0]}, "Bar 1 has a price that is not above zero"),
        ({"low": [100.0, -5.0, 100.0]}, "Bar 1 has a price that is not above zero"),
        ({"high": [100.0, 99.0, 100.0]}, "Bar 1 opens or closes outside"),
        ({"close": [100.0, 100.0]}, "differ in length"),
    ],
)
def test_bars_out_of_order_or_with_nonsense_are_refused(columns, words):
    with pytest.raises(DataError, match=words):
        bars(**columns)


@pytest.mark.parametrize(
    ("times", "rates", "marks", "words"),
    [
        ([2, 1], [0.0, 0.0], [NAN, NAN], "Funding event 1 comes before"),
        ([1], [NAN], [NAN], "rate that is not a number"),
        ([1], [0.0], [-1.0], "mark price that is not above zero"),
        ([1], [0.0, 0.0], [NAN], "differ in length"),
    ],
)
def test_funding_events_that_make_no_sense_are_refused(times, rates, marks, words):
    with pytest.raises(DataError, match=words):
        FundingEvents(np.array(times, np.int64), np.array(rates), np.array(marks))


def test_funding_before_and_after_the_span_is_nobody_s():
    plain = make_feed(make_bars((100,) * 5)).symbols[0]
    first, last = int(plain.bars.open_ms[0]), int(plain.bars.open_ms[-1])
    stamps = np.array([first - 8 * 3_600_000, first - 1_000, last + 3_600_000, last + 10**9], np.int64)
    funding = FundingEvents(stamps, np.full(4, 0.01), np.full(4, NAN))
    feed = Feed((replace(plain, funding=funding),))
    result = play("def initialize(self): pass\ndef on_data(self, data): self.target_ratio(1.0)", feed=feed)[1]
    assert len(result.funding) == 0
    assert result.fills["wallet_balance"][-1] == pytest.approx(result.final_equity)


def test_funding_in_the_warm_up_is_nobody_s_either():
    plain = make_feed(make_bars((100,) * 6)).symbols[0]
    stamp = plain.bars.open_ms[1:2].copy()
    feed = Feed((replace(plain, funding=FundingEvents(stamp, np.array([0.01]), np.array([NAN]))),))
    result = play("def initialize(self): pass\ndef on_data(self, data): self.buy(1)", feed=feed, warmup_bars=3)[1]
    assert len(result.funding) == 0


@pytest.mark.parametrize(
    ("tiers", "words"),
    [
        (((0, 100, 0.01, 50, 0), (200, 300, 0.02, 20, 1)), "tier 2 starts at 200; it must start at 100"),
        (((10, 100, 0.01, 50, 0),), "tier 1 starts at 10; it must start at 0"),
        (((0, 100, 0.01, 50, 0), (100, 100, 0.02, 20, 1)), "tier 2 ends at 100"),
        (((0, 100, 0.0, 50, 0),), "maintenance rate between 0 and 1"),
        (((0, 100, 0.01, 0.5, 0),), "maximum leverage of at least 1"),
        (((0, 100, 0.02, 50, 0), (100, 200, 0.01, 20, 1)), "milder"),
        (((0, 100, 0.01, 50, NAN),), "cumulative amount"),
        (((NAN, 100, 0.01, 50, 0),), "starts at nan"),
    ],
)
def test_tiers_with_holes_or_nonsense_are_refused(tiers, words):
    with pytest.raises(DataError, match=words):
        Instrument("BTCUSDT", tiers=tuple(MarginTier(*tier) for tier in tiers))


@pytest.mark.parametrize(
    "rule", [{"tick_size": NAN}, {"tick_size": -1}, {"step_size": 0}, {"min_qty": INF}, {"liquidation_fee_rate": 1.5}]
)
def test_rules_of_an_instrument_that_make_no_sense_are_refused(rule):
    with pytest.raises(DataError, match="BTCUSDT"):
        Instrument("BTCUSDT", **rule)


def test_futures_without_tiers_are_refused():
    feed = make_feed(make_bars((100, 101)))
    bare = Feed((SymbolFeed(Instrument("BTCUSDT"), feed.symbols[0].bars),))
    with pytest.raises(DataError, match="no margin tiers for BTCUSDT"):
        run(Session(load_strategy(IDLE)), make_request(feed), bare)


IDLE = "class S(Strategy):\n    def initialize(self): pass\n    def on_data(self, data): pass\n"


@pytest.mark.parametrize(("shift", "length"), [(-1_000_000, 3), (1_000_000, 3), (0, 0), (0, -3)])
def test_a_span_without_a_bar_is_refused(shift, length):
    feed = make_feed(make_bars((100, 101, 102)))
    request = make_request(feed)
    first = request.from_ms + shift * 3_600_000
    with pytest.raises(DataError, match="no bar in the span"):
        run(Session(load_strategy(IDLE)), replace(request, from_ms=first, to_ms=first + length * 3_600_000), feed)


def test_a_feed_without_bars_is_refused():
    empty = Bars(*(np.empty(0, np.int64 if i == 0 else np.float64) for i in range(6)))
    feed = make_feed(make_bars((100, 101)))
    bare = Feed((replace(feed.symbols[0], bars=empty),))
    with pytest.raises(DataError, match="no bar in the span"):
        run(Session(load_strategy(IDLE)), make_request(feed), bare)
    with pytest.raises(DataError, match="at least one symbol"):
        Feed(())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("leverage", 0), ("leverage", NAN), ("leverage", 126), ("initial_balance", -5), ("initial_balance", INF)),
        *(("taker_fee", NAN), ("slippage_bps", -1), ("to", 1), ("symbols", []), ("symbols", ["no such"])),
        *(("timeframe", "7q"), ("warmup_bars", 1.5), ("participation_cap", 2), ("speed", 3)),
    ],
)
def test_a_request_that_makes_no_sense_names_its_field(field, value):
    good = {"market": "usdm", "symbols": ["BTCUSDT"], "timeframe": "1h", "from": "2025-01-01", "to": "2025-02-01"}
    assert RunRequest.parse(good).n_bars == 31 * 24
    with pytest.raises(RequestError) as caught:
        RunRequest.parse({**good, field: value})
    assert caught.value.field == field
    assert caught.value.code
    assert len(caught.value.message) > 10


# A strategy that takes itself apart.
APART = """
def initialize(self): self.mine = 1
def on_data(self, data):
    if self.i_bar == 0: self.buy(1)
    if self.i_bar == 2: {harm}
    if self.i_bar == 3: self.sell(2)
"""


@pytest.mark.parametrize(
    "harm",
    [
        "del self.mine",
        "del type(self).on_data",
        "del type(self).initialize",
        "type(self).on_fill = None",
        "type(self).buy = None",
        "vars(self).pop('mine')",
    ],
)
def test_what_a_strategy_deletes_of_its_own_does_not_touch_the_run(harm):
    whole = play(APART.format(harm="pass"))[1]
    assert play(APART.format(harm=harm))[1].result_hash() == whole.result_hash()


@pytest.mark.parametrize("harm", ["del self._session", "vars(self).clear()", "type(self).sell = None; del self.mine"])
def test_a_strategy_without_its_limbs_fails_by_an_error_of_its_own_and_the_account_stands(harm):
    text = "class Mine(Strategy):\n" + "".join(f"    {line}\n" for line in APART.format(harm=harm).split("\n"))
    feed = make_feed(make_bars((100, 101, 102, 103, 104)))
    session = Session(load_strategy(text))
    with pytest.raises((AttributeError, TypeError)):
        run(session, make_request(feed), feed)
    account = session.account
    account.catch_up()
    assert account.position_qty() == 1
    assert account.margin_balance == pytest.approx(10_000 - 0.04 + account.unrealised_pnl())
