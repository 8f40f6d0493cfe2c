"""Equal rules mean equal trades and equal money; a difference is explained by a rule or it is a failure."""

import numpy as np
import pytest

from backtests.engine.kernels.rows import TRADE
from backtests.engine.kernels.types import ExitReason
from benchmarks.agreement import compare_all, find_ties, vectorbt_skips
from benchmarks.jobs import BACKTESTING, CALLBACK, CALLBACK_AT_CLOSE, TARGETS, VECTORBT, W1, W2, W3, W4, W5, Job
from benchmarks.race import Measurement


def measured(work, entrant, n_trades=3, final_equity=10.0, **details):
    return Measurement(Job(work, entrant), "1", 1.0, (1.0,), 100.0, n_trades, final_equity, details)


def agreed(*measurements):
    return [finding.is_agreed for finding in compare_all(measurements)]


def test_equal_numbers_agree_and_the_finding_names_both_engines():
    (finding,) = compare_all([measured(W2, CALLBACK), measured(W2, BACKTESTING)])
    assert finding.is_agreed
    assert "hindsight callback (next_open) and backtesting.py (next_open) agree: 3 trades, 10.00" in finding.text


@pytest.mark.parametrize("peers_own", [{"n_trades": 4}, {"final_equity": 10.01}, {"final_equity": float("nan")}])
def test_another_trade_or_another_cent_is_a_difference(peers_own):
    assert agreed(measured(W1, CALLBACK), measured(W1, BACKTESTING, **peers_own)) == [False]


def test_noise_far_below_a_cent_is_none():
    assert agreed(measured(W1, CALLBACK), measured(W1, BACKTESTING, final_equity=10.0 + 1e-9)) == [True]


def test_engines_that_fill_by_another_rule_are_not_compared():
    assert agreed(measured(W1, CALLBACK), measured(W1, VECTORBT, final_equity=99.0)) == []


def test_both_of_our_interfaces_are_held_against_the_peer_that_fills_at_the_close():
    ours = [measured(W3, entrant) for entrant in (TARGETS, CALLBACK_AT_CLOSE)]
    assert agreed(*ours, measured(W3, VECTORBT)) == [True, True]


def test_the_works_are_not_mixed_up():
    assert agreed(measured(W1, CALLBACK), measured(W2, BACKTESTING)) == []


def test_trades_that_vectorbt_cannot_make_are_taken_out_before_comparing():
    ours = measured(W5, TARGETS, n_trades=5, final_equity=10.0, n_skipped=2, skipped_pnl=-1.5)
    assert agreed(ours, measured(W5, VECTORBT, n_trades=3, final_equity=11.5)) == [True]
    assert agreed(ours, measured(W5, VECTORBT, n_trades=5, final_equity=10.0)) == [False]


def test_nothing_is_taken_out_for_a_peer_that_fills_exits_and_signals_of_one_bar():
    ours = measured(W5, CALLBACK, n_skipped=2, skipped_pnl=-1.5)
    assert agreed(ours, measured(W5, BACKTESTING)) == [True]


def test_sweeps_are_compared_combination_by_combination():
    ours = measured(W4, TARGETS, equities=[1.0, 2.0], is_tied=[False, False])
    assert agreed(ours, measured(W4, VECTORBT, equities=[1.0, 2.0])) == [True]
    (finding,) = compare_all([ours, measured(W4, VECTORBT, equities=[1.0, 2.5])])
    assert not finding.is_agreed
    assert "in 1 of 2 combinations" in finding.text


def test_only_a_combination_with_equal_means_may_differ():
    theirs = measured(W4, VECTORBT, equities=[1.0, 2.5])
    assert agreed(measured(W4, TARGETS, equities=[1.0, 2.0], is_tied=[False, True]), theirs) == [True]
    assert agreed(measured(W4, TARGETS, equities=[1.0, 2.0], is_tied=[True, False]), theirs) == [False]


def test_ties_of_two_means_are_found_exactly():
    rising = np.array([1.0, 1.01, 1.02, 1.03, 1.05])
    tied = np.array([1.0, 1.03, 1.01, 1.02, 1.05])  # (1.01 + 1.02) / 2 = (1.0 + 1.03 + 1.01 + 1.02) / 4
    assert find_ties(rising, [(2, 4)]) == [False]
    assert find_ties(tied, [(2, 4), (1, 2)]) == [True, False]


def trades_of(*rows):
    """(entry bar, exit bar, exit reason, pnl) of each trade."""
    trades = np.zeros(len(rows), TRADE)
    for trade, (entry, exit_bar, reason, pnl) in zip(trades, rows, strict=True):
        trade["i_bar_entry"], trade["i_bar_exit"], trade["exit_reason"], trade["pnl"] = entry, exit_bar, reason, pnl
    return trades


def test_an_entry_in_the_bar_of_a_stop_or_target_is_what_vectorbt_skips():
    trades = trades_of((0, 5, ExitReason.STOP_LOSS, -1.0), (5, 9, ExitReason.FLIP, 7.0), (9, -1, ExitReason.OPEN, 0.0))
    assert vectorbt_skips(trades) == (1, 7.0)
    trades["exit_reason"][0] = ExitReason.TAKE_PROFIT
    assert vectorbt_skips(trades) == (1, 7.0)


def test_an_entry_after_that_bar_or_by_a_flip_is_not_skipped():
    trades = trades_of((0, 5, ExitReason.STOP_LOSS, -1.0), (6, 9, ExitReason.FLIP, 7.0), (9, 12, ExitReason.ORDER, 1.0))
    assert vectorbt_skips(trades) == (0, 0.0)


def test_what_follows_a_skipped_trade_is_made_again():
    trades = trades_of(
        (0, 5, ExitReason.STOP_LOSS, -1.0),
        (5, 9, ExitReason.TAKE_PROFIT, 7.0),  # skipped: so its own target closes nothing there
        (9, 12, ExitReason.FLIP, 1.0),
    )
    assert vectorbt_skips(trades) == (1, 7.0)
