"""The callback driver: what is called, when, and what a strategy may ask for."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import backtests.engine
from backtests.engine import loop
from backtests.engine.errors import DataError, IntegrityError, OrderError
from backtests.engine.kernels.types import COMMAND, EventKind, OrderStatus, SizeKind
from backtests.engine.loop import run
from backtests.engine.portfolio import Account
from backtests.engine.portfolio.market import build_market
from backtests.engine.replay import replay
from backtests.engine.request import (
    Bars,
    Feed,
    Instrument,
    MarginTier,
    RunRequest,
    SymbolFeed,
    TradingMarket,
)
from backtests.engine.result import CommandLog
from tests.engine.market_stage import QUIET, bars_of
from tests.engine.random_runs import make_scenario
from tests.engine.scenarios import MINUTE, SMALL_TIERS, START, Script, play

ROOT = Path(__file__).resolve().parents[2]


def small(n=6, **fields):
    symbol = SymbolFeed(Instrument("BTCUSDT", step_size=0.001, tiers=SMALL_TIERS), bars_of([QUIET] * n))
    request = RunRequest(
        market=TradingMarket.USDM,
        symbols=("BTCUSDT",),
        timeframe="1m",
        from_ms=START,
        to_ms=START + n * MINUTE,
        initial_balance=1000.0,
        taker_fee=0.0,
        max_leverage=100.0,
        **fields,
    )
    return request, Feed((symbol,))


class Watching(Script):
    """Notes every call of on_data."""

    def __init__(self, script=None, on_event=None):
        super().__init__(script, on_event)
        self.seen = []

    def on_data(self, data):
        self.seen.append((self.account.cursor.i_bar, data.time_ms, data.close))
        super().on_data(data)


def test_strategy_is_called_once_at_every_bar_of_the_span_and_never_in_the_warm_up():
    request, feed = small(6)
    watching = Watching({3: [("submit", {"side": 1, "size": 1.0})]})
    result = run(watching, replace(request, from_ms=START + 2 * MINUTE), feed)
    assert [i for i, _, _ in watching.seen] == [2, 3, 4, 5]
    assert [time for _, time, _ in watching.seen] == [START + i * MINUTE for i in (2, 3, 4, 5)]
    assert (result.first_bar, result.n_bars, len(result.equity)) == (2, 4, 4)
    assert watching.finished_at == 5


@pytest.mark.parametrize("n_ahead", [1, 2, 7, 10_000])
def test_how_far_the_loop_looks_ahead_changes_nothing(monkeypatch, n_ahead):
    for seed in range(300, 310):
        request, feed, script = make_scenario(seed)
        expected, _ = play(script, request, feed)
        monkeypatch.setattr(loop, "FEWEST_BARS", n_ahead)
        monkeypatch.setattr(loop, "MOST_BARS", n_ahead)
        assert play(script, request, feed)[0].result_hash() == expected.result_hash()


def test_hooks_run_in_the_order_of_events_and_before_the_strategy():
    request, feed, script = make_scenario(12)
    calls = []
    listening = Script(script, on_event=lambda strategy, kind, i_row: calls.append((kind, i_row)))
    result = run(listening, request, feed)
    assert result.result_hash() == play(script, request, feed)[0].result_hash()
    kinds = [kind for kind, _ in calls]
    assert kinds.count(EventKind.FILL) == len(result.fills)
    assert kinds.count(EventKind.FUNDING) == len(result.funding)
    assert kinds.count(EventKind.LIQUIDATION) == len(result.liquidations)
    closed = result.trades["i_bar_exit"] >= 0
    assert kinds.count(EventKind.TRADE_CLOSED) + kinds.count(EventKind.LIQUIDATION) == np.count_nonzero(closed)
    fills = [i_row for kind, i_row in calls if kind == EventKind.FILL]
    assert fills == sorted(fills)
    heard = {(i_bar, i_row) for i_bar, kind, i_row in listening.heard if kind == EventKind.FILL}
    assert heard == {(int(f["i_bar"]), int(f["fill_id"])) for f in result.fills}


def test_orders_of_a_hook_count_as_made_at_the_same_close():
    request, feed = small()

    def close_at_once(strategy, kind, i_row):
        if kind == EventKind.FILL and strategy.account.position_qty():
            strategy.account.close_position()

    strategy = Script({2: [("submit", {"side": 1, "size": 1.0})]}, on_event=close_at_once)
    assert run(strategy, request, feed).fills["i_bar"].tolist() == [2, 2]


def test_position_and_balance_are_new_when_an_order_returns():
    request, feed = small()
    seen = []

    class Buying(Script):
        def on_data(self, data):
            account = self.account
            if account.i_bar == 1:
                order_id = account.submit(side=1, size=2.0, leverage=4.0)
                seen.append((account.order(order_id)["status"], account.position_qty(), account.cash))
                seen.append((account.entry_price(), account.position_leverage(), account.initial_margin()))
                seen.append((account.margin_balance, account.wallet_balance, account.available_balance))
                seen.append((round(account.liquidation_price(), 6), round(account.margin_ratio, 9)))
            elif not account.position_qty():
                seen.append((account.margin_ratio, account.liquidation_price(), account.position_leverage()))

    run(Buying(), request, feed)
    assert seen == [
        (0.0, None, 0.0),
        (OrderStatus.FILLED, 2.0, 950.0),
        (100.0, 4.0, 50.0),
        (1000.0, 1000.0, 950.0),
        (round(150 / (2 * 0.996), 6), round(0.8 / 50, 9)),
    ]


def test_progress_is_told_and_ends_at_the_last_bar():
    told = []

    class Telling:
        def progress(self, i_bar, n_bars, equity):
            told.append((i_bar, n_bars, equity))

    request, feed = small()
    run(Script(), request, feed, Telling())
    assert told[-1] == (6, 6, 1000.0)


BAD_CALLS = [
    ("submit", {"side": 1, "size": float("nan")}),
    ("submit", {"side": 1, "size": 0.0}),
    ("submit", {"side": 1, "size": -1.0}),
    ("submit", {"side": 1, "size": float("inf")}),
    ("submit", {"side": 0, "size": 1.0}),
    ("submit", {"side": 1, "size": 1.1, "size_kind": SizeKind.EQUITY_RATIO}),
    ("submit", {"side": 1, "size": 1.0, "leverage": 0.5}),
    ("submit", {"side": 1, "size": 1.0, "leverage": float("nan")}),
    ("submit", {"side": 1, "size": 1.0, "i_symbol": 1}),
    ("submit", {"side": 1, "size": 1.0, "i_symbol": -1}),
    ("submit", {"side": 1, "size": 1.0, "limit_price": -90.0}),
    ("submit", {"side": 1, "size": 1.0, "stop_price": float("inf")}),
    ("submit", {"side": 1, "size": 1.0, "stop_loss": 0.0}),
    ("submit", {"side": 1, "size": 1.0, "take_profit": [(0.5, 110.0), (0.6, 120.0)]}),
    ("submit", {"side": 1, "size": 1.0, "take_profit": [(0.5, float("nan"))]}),
    ("submit", {"side": 1, "size": 1.0, "take_profit": []}),
    ("submit", {"side": 1, "size": 1.0, "trailing_ratio": 1.0}),
    ("submit", {"side": 1, "size": 1.0, "is_post_only": True}),
    ("submit", {"side": 1, "size": 1.0, "good_for_bars": -1}),
    ("submit", {"side": 1, "size": 1.0, "is_reduce_only": True, "stop_loss": 90.0}),
    ("set_stop_loss", {"price": float("nan")}),
    ("modify", {"order_id": 7, "limit_price": 90.0}),
    ("close_position", {"percentage": 0.0}),
    ("close_position", {"percentage": 101.0}),
    ("close_position", {"percentage": float("nan")}),
    ("target_ratio", {"ratio": float("inf")}),
    ("cancel", {"order_id": 7}),
    ("cancel_all", {"i_symbol": 3}),
]


@pytest.mark.parametrize(("name", "fields"), BAD_CALLS)
def test_calls_that_can_never_be_an_order_raise_and_leave_no_trace(name, fields):
    request, feed = small()
    caught = []

    class Wrong(Script):
        def on_data(self, data):
            if self.account.i_bar == 1:
                with pytest.raises(OrderError) as error:
                    getattr(self.account, name)(**fields)
                caught.append(str(error.value))
                assert self.account.n_commands == 0

    result = run(Wrong(), request, feed)
    assert caught
    assert not len(result.orders)
    assert result.final_equity == 1000.0


def test_absurd_quantity_is_refused_not_wrapped_around():
    request, feed = small()
    result, _ = play({0: [("submit", {"side": 1, "size": 1e300})]}, request, feed)
    assert result.orders["status"].tolist() == [OrderStatus.REJECTED]


def test_no_orders_before_the_first_bar_or_after_the_last():
    request, feed = small()

    class Late(Script):
        def bind(self, account, reporter=None):
            with pytest.raises(OrderError):
                account.submit(side=1, size=1.0)
            return super().bind(account, reporter)

        def on_finish(self):
            with pytest.raises(OrderError):
                self.account.submit(side=1, size=1.0)
            super().on_finish()

    late = Late()
    assert not len(run(late, request, feed).orders)
    assert late.finished_at == 5


def test_many_orders_let_the_tables_grow():
    request, feed = small(700)
    calls = [("submit", {"side": 1, "size": 0.002}), ("close_position", {"percentage": 50.0})]
    result, log = play(dict.fromkeys(range(700), calls), request, feed)
    assert len(result.orders) == 1400
    assert result.n_orders_rejected == 0
    assert replay(request, feed, log).result_hash() == result.result_hash()


def test_same_run_twice_gives_the_same_hash_and_another_order_another():
    request, feed = small()
    one, two, three = (play({1: [("submit", {"side": 1, "size": s})]}, request, feed)[0] for s in (1.0, 1.0, 1.5))
    assert one.result_hash() == two.result_hash() != three.result_hash()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("i_bar", 99),
        ("i_bar", -1),
        ("kind", 77),
        ("kind", 0),
        ("i_symbol", 5),
        ("i_symbol", -1),
        ("side", 0),
        ("size_kind", 9),
        ("size", np.inf),
        ("size", -1.0),
        ("leverage", 0.0),
        ("limit_price", -90.0),
        ("stop_price", np.inf),
        ("trailing_ratio", 1.0),
        ("good_for_bars", -1),
        ("i_tag", 3),
    ],
)
def test_order_log_that_no_run_can_have_written_is_refused(column, value):
    request, feed = small()
    _, log = play({1: [("submit", {"side": 1, "size": 1.0})]}, request, feed)
    log.rows[column] = value
    with pytest.raises(IntegrityError):
        replay(request, feed, log)


@pytest.mark.parametrize(
    "call", [("close_position", {}), ("target_ratio", {"ratio": 0.5})], ids=["close_position", "target_ratio"]
)
@pytest.mark.parametrize("column", ["limit_price", "stop_price"])
def test_order_log_with_a_price_for_an_order_without_a_side_is_refused(call, column):
    request, feed = small()
    _, log = play({1: [("submit", {"side": 1, "size": 1.0})], 2: [call]}, request, feed)
    log.rows[column][1] = 100.0
    with pytest.raises(IntegrityError, match="price for its kind"):
        replay(request, feed, log)


def test_order_log_with_bars_out_of_order_is_refused():
    request, feed = small()
    call = ("submit", {"side": 1, "size": 1.0})
    _, log = play({1: [call], 3: [call]}, request, feed)
    with pytest.raises(IntegrityError, match="bar"):
        replay(request, feed, CommandLog(log.rows[::-1].copy(), log.tags))


def test_feed_that_does_not_fit_the_request_is_refused():
    request, feed = small()
    with pytest.raises(DataError, match="no bar in the span"):
        Account(replace(request, from_ms=START + 90 * MINUTE, to_ms=START + 99 * MINUTE), feed)
    with pytest.raises(DataError, match="symbols of the request"):
        Account(replace(request, symbols=("ETHUSDT",)), feed)
    bare = SymbolFeed(Instrument("BTCUSDT"), feed.symbols[0].bars)
    with pytest.raises(DataError, match="no margin tiers"):
        Account(request, Feed((bare,)))
    long_marks = Bars(
        *(getattr(bare.bars, name)[::2] for name in ("open_ms", "open", "high", "low", "close", "volume"))
    )
    with pytest.raises(DataError, match="longer than the bars"):
        Account(request, Feed((replace(feed.symbols[0], mark_bars=long_marks),)))


def test_finer_mark_bars_are_summed_up():
    request, feed = small(2)
    rows = [(100.0, 100.0, 99.0, 99.5), (99.5, 104.0, 99.0, 103.0), (103.0, 103.0, 101.0, 102.0)]
    fine = bars_of(rows)
    fine = Bars(START + 20_000 * np.arange(3), *(getattr(fine, n) for n in ("open", "high", "low", "close", "volume")))
    account = Account(request, Feed((replace(feed.symbols[0], mark_bars=fine),)))
    mark = account.simulation.market.mark
    assert [column[0, 0] for column in mark[:4]] == [100.0, 104.0, 99.0, 102.0]
    assert mark.close[0, 1] == 100.0  # no mark bar: the trade bar


@pytest.mark.parametrize(
    "bad",
    [
        {"high": [100.0, 90.0]},
        {"low": [100.0, 101.0]},
        {"close": [100.0, float("nan")]},
        {"low": [100.0, 0.0]},
        {"open_ms": [START, START]},
    ],
)
def test_bars_that_make_no_sense_are_refused(bad):
    columns = {name: [100.0, 100.0] for name in ("open", "high", "low", "close", "volume")}
    columns = {"open_ms": [START, START + MINUTE], **columns, **bad}
    with pytest.raises(DataError, match="Bar 1"):
        Bars(**{name: np.array(column, np.int64 if name == "open_ms" else float) for name, column in columns.items()})


@pytest.mark.parametrize(
    "tiers",
    [
        (MarginTier(0, 10, 0.01, 10, 0), MarginTier(20, 30, 0.02, 5, 0)),
        (MarginTier(5, 10, 0.01, 10, 0),),
        (MarginTier(0, 10, 0.02, 10, 0), MarginTier(10, 30, 0.01, 5, 0)),
    ],
)
def test_tiers_with_holes_are_refused(tiers):
    with pytest.raises(DataError):
        Instrument("BTCUSDT", tiers=tiers)


def test_public_names_resolve_and_the_function_replay_is_not_hidden_by_its_module():
    for name in backtests.engine.__all__:
        assert getattr(backtests.engine, name) is not None
    assert backtests.engine.replay is replay
    assert set(dir(backtests.engine)) >= {"Bars", "run", "replay", "Portfolio", "BacktestConfig"}
    with pytest.raises(AttributeError):
        _ = backtests.engine.nothing_of_the_kind


def test_reading_results_loads_no_compiler():
    names = "import sys, backtests.engine.result, backtests.engine.request; from backtests.engine import RunRequest;"
    code = names + "sys.exit('numba' in sys.modules or 'django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_feed_of_read_only_arrays_is_played_without_a_copy():
    """As in a child, which maps its job read-only."""
    request, feed = small()
    bars = feed.symbols[0].bars
    before = replay(request, feed, CommandLog(np.empty(0, COMMAND)))
    for column in ("open_ms", "open", "high", "low", "close", "volume"):
        getattr(bars, column).flags.writeable = False
    assert np.shares_memory(build_market(request, feed).last.close, bars.close)
    assert replay(request, feed, CommandLog(np.empty(0, COMMAND))).result_hash() == before.result_hash()
