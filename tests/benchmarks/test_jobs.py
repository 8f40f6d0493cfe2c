"""Every engine is told the same work, under the rule that it fills by."""

import pytest

from benchmarks.jobs import BACKTESTING, CALLBACK, FLOOR, PAIRS, VECTORBT, W1, W2, W3, W4, W5, jobs_of

ALL = (W1, W2, W3, W4, W5)


@pytest.mark.parametrize("work", ALL, ids=lambda work: work.name)
def test_all_engines_read_the_same_work(work, tmp_path):
    told = [job.to_json(tmp_path / "series.npy", 42.0) for job in jobs_of(work)]
    for one in told:
        del one["api"], one["fill"]
    assert all(one == told[0] for one in told)


def test_a_peer_meets_ours_under_its_own_fill_rule():
    assert CALLBACK.fill == BACKTESTING.fill == "next_open"
    assert VECTORBT.fill == "close"


def test_jobs_have_names_of_their_own():
    names = [job.name for work in ALL for job in jobs_of(work)]
    assert len(set(names)) == len(names)


def test_the_floor_is_measured_beside_the_lightest_callback_only():
    assert [work.name for work in ALL if FLOOR in [job.entrant for job in jobs_of(work)]] == ["W3"]


def test_only_w5_has_exits(tmp_path):
    job = jobs_of(W5)[0].to_json(tmp_path, 0.0)
    assert job["exits"] == {"stop_loss": 0.01, "take_profit": 0.02}
    assert [work.name for work in ALL if work.exits] == ["W5"]


def test_the_sweep_has_a_thousand_pairs_of_a_fast_and_a_slow_length():
    assert len(set(PAIRS)) == 1_000
    assert (PAIRS[0], PAIRS[-1]) == ((5, 50), (44, 170))
    assert W4.combinations == 1_000
