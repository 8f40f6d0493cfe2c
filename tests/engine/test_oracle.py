"""The engine against the Decimal oracle, on random scenarios."""

import math

import pytest

from backtests.engine.replay import replay
from backtests.engine.targets import follow_targets
from tests.engine.oracle import Oracle
from tests.engine.oracle_targets import TargetOracle
from tests.engine.random_runs import make_scenario, make_targets
from tests.engine.scenarios import play

N_SCENARIOS = 1000
PER_TEST = 25

ORDER_FIELDS = ("order_id", "parent_id", "i_symbol", "kind", "status", "reason", "filled_qty")
FILL_FIELDS = (
    *("order_id", "i_bar", "time_ms", "i_symbol", "side", "kind", "qty", "price", "fee", "is_maker", "slippage"),
    *("realised_pnl", "covered", "position_qty", "wallet_balance"),
)
TRADE_FIELDS = (
    *("i_symbol", "side", "i_bar_entry", "i_bar_exit", "qty", "closed_qty", "initial_margin", "gross_pnl", "fees"),
    *("funding", "liquidation_loss", "covered", "mae", "mfe", "exit_reason", "is_ambiguous"),
)
EQUITY_FIELDS = (
    *("time_ms", "wallet_balance", "unrealised_pnl", "margin_balance", "position_qty", "exposure", "margin_ratio"),
)
LIQUIDATION_FIELDS = ("i_symbol", "price", "loss", "covered", "maintenance_margin")
FUNDING_FIELDS = ("time_ms", "i_symbol", "payment", "mark_price")


def assert_same_rows(name, rows, expected, fields, scale):
    assert len(rows) == len(expected), f"{name}: {len(rows)} rows, the oracle has {len(expected)}"
    for i, (row, wanted) in enumerate(zip(rows, expected, strict=True)):
        for field in fields:
            got, want = float(row[field]), float(wanted[field])
            is_same = math.isclose(got, want, rel_tol=1e-9, abs_tol=1e-9 * scale)
            assert is_same, f"{name} {i} {field}: {got!r}, the oracle says {want!r}\n{row}\n{wanted}"


def assert_oracle_agrees(seed, scenario):
    try:
        check_scenario(*scenario)
    except AssertionError as error:
        raise AssertionError(f"scenario {seed}: {error}") from error


def check_scenario(request, feed, script):
    result, log = play(script, request, feed)
    script = {i: calls for i, calls in script.items() if i >= result.first_bar}
    assert_same_run(result, Oracle(request, feed).play(script), request.initial_balance)
    assert replay(request, feed, log).result_hash() == result.result_hash()


def assert_same_run(result, oracle, scale):
    orders = [{**vars(order), "filled_qty": order.filled} for order in oracle.orders]
    assert_same_rows("order", result.orders, orders, ORDER_FIELDS, 1.0)
    assert_same_rows("fill", result.fills, oracle.fills, FILL_FIELDS, scale)
    assert_same_rows("trade", result.trades, oracle.trades, TRADE_FIELDS, scale)
    for row, wanted in zip(result.trades, oracle.trades, strict=True):
        assert math.isclose(row["entry_price"], wanted["paid"] / wanted["qty"], rel_tol=1e-9)
        if wanted["closed_qty"]:
            assert math.isclose(row["exit_price"], wanted["got"] / wanted["closed_qty"], rel_tol=1e-9)
    assert_same_rows("funding", result.funding, oracle.funding, FUNDING_FIELDS, scale)
    assert_same_rows("liquidation", result.liquidations, oracle.liquidations, LIQUIDATION_FIELDS, scale)
    assert_same_rows("equity", result.equity, oracle.equity, EQUITY_FIELDS, scale)
    assert result.is_ruined == oracle.is_ruined
    assert result.counters["ambiguous_bars"] == oracle.n_ambiguous


@pytest.mark.parametrize("first", range(0, N_SCENARIOS, PER_TEST))
def test_engine_agrees_with_the_oracle(first):
    for seed in range(first, first + PER_TEST):
        assert_oracle_agrees(seed, make_scenario(seed))


@pytest.mark.parametrize("first", range(0, 100, PER_TEST))
def test_targets_agree_with_the_oracle(first):
    for seed in range(first, first + PER_TEST):
        request, feed, targets = make_targets(seed)
        result, log = follow_targets(request, feed, targets)
        try:
            assert_same_run(result, TargetOracle(request, feed).play(targets), request.initial_balance)
        except AssertionError as error:
            raise AssertionError(f"scenario {seed}: {error}") from error
        assert replay(request, feed, log).result_hash() == result.result_hash()
