"""Laws of cross margin on random scenarios, and the engine against the Decimal oracle there."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backtests.engine.kernels.types import OrderKind
from backtests.engine.replay import replay
from backtests.engine.request import MarginMode
from tests.engine.random_runs import make_scenario
from tests.engine.scenarios import play
from tests.engine.test_oracle import assert_oracle_agrees

seeds = st.integers(1_000, 1_000_000)
lawful = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MARKET_ORDERS = frozenset({"finer", "ticks"})  # they bind the most money
ROOT = Path(__file__).resolve().parents[2]


def make_cross_scenario(seed):
    """Two or three symbols, little money, much leverage: the account is liquidated in most of them."""
    request, feed, script = make_scenario(seed, MARKET_ORDERS)
    while request.market == "spot" or len(request.symbols) < 2:
        seed += 1_000_003
        request, feed, script = make_scenario(seed, MARKET_ORDERS)
    fields = {"initial_balance": 500.0, "leverage": 20.0, "max_leverage": 125.0}
    return replace(request, margin_mode=MarginMode.CROSS, **fields), feed, script


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_engine_agrees_with_the_oracle(first):
    for seed in range(first, first + 25):
        assert_oracle_agrees(seed, make_cross_scenario(seed))


@lawful
@given(seeds)
def test_wallet_is_what_was_paid_in_and_what_every_fill_and_funding_did(seed):
    request, feed, script = make_cross_scenario(seed)
    result, log = play(script, request, feed)
    fills, trades = result.fills, result.trades
    wallet = result.equity["wallet_balance"]
    assert np.all(wallet >= 0.0)
    by_fills = fills["realised_pnl"].sum() - fills["fee"].sum() + fills["covered"].sum()
    expected = request.initial_balance + by_fills + result.funding["payment"].sum()
    assert wallet[-1] == pytest.approx(expected, rel=1e-9, abs=1e-9 * request.initial_balance)
    by_trades = request.initial_balance + trades["pnl"].sum()
    assert wallet[-1] == pytest.approx(by_trades, rel=1e-9, abs=1e-9 * request.initial_balance)
    again = replay(request, feed, log)
    assert again.result_hash() == result.result_hash()


@lawful
@given(seeds)
def test_account_is_closed_whole_and_only_when_its_balance_no_longer_exceeds_its_maintenance_margin(seed):
    request, feed, script = make_cross_scenario(seed)
    result, _ = play(script, request, feed)
    rows = result.liquidations
    ends = result.fills[result.fills["kind"] == OrderKind.LIQUIDATION]
    assert np.all(ends["position_qty"] == 0.0)
    for time in np.unique(rows["time_ms"]):
        gone = rows[rows["time_ms"] == time]
        if len(set(gone["i_symbol"])) < len(gone):
            continue  # twice within one bar: two accounts' worth of evidence
        balance = gone["margin_wallet"][0] + gone["unrealised_pnl"].sum()
        assert balance <= gone["maintenance_margin"].sum() + 1e-9 * request.initial_balance
        assert gone["loss"].sum() <= gone["margin_wallet"][0] + 1e-9
    assert np.all(rows["covered"] >= 0.0)
    assert np.all(result.equity["margin_ratio"] >= 0.0)


@lawful
@given(seeds)
def test_of_liquidated_symbols_nothing_is_open_at_the_end_of_the_step(seed):
    """Whatever was open when the account was closed is closed; what is open later was opened later."""
    request, feed, script = make_cross_scenario(seed)
    result, _ = play(script, request, feed)
    for gone in result.liquidations:
        for trade in result.trades:
            is_open = trade["i_bar_exit"] < 0 or trade["i_bar_exit"] > gone["i_bar"]
            assert not (trade["i_bar_entry"] < gone["i_bar"] and is_open)


HASHES = """
import sys
from backtests.engine.kernels import quiet
from tests.engine.test_cross_laws import make_cross_scenario
from tests.engine.scenarios import play
def hashes():
    for seed in range(2_000, 2_020):
        request, feed, script = make_cross_scenario(seed)
        sys.stdout.write(play(script, request, feed)[0].result_hash() + "\\n")
hashes()
quiet.can_be_due = lambda sim, i_fine: True
hashes()
"""


def test_looking_ahead_skips_no_liquidation_with_and_without_the_compiler():
    """Interpreted, and interpreted once more with a look-ahead that calls no bar quiet."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    interpreted = subprocess.run(
        [sys.executable, "-c", HASHES], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    scenarios = [make_cross_scenario(seed) for seed in range(2_000, 2_020)]
    results = [play(script, request, feed)[0] for request, feed, script in scenarios]
    assert sum(len(result.liquidations) for result in results) >= 5
    compiled = [result.result_hash() for result in results]
    assert interpreted[:20] == compiled
    assert interpreted[20:] == compiled
