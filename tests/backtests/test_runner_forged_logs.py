"""The parent replays what a hostile child sends: any log is refused or replayed, and none breaks the process."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests.engine.errors import IntegrityError
from backtests.engine.kernels.types import COMMAND
from backtests.engine.replay import replay
from backtests.engine.result import CommandLog
from tests.engine.strategy_stage import make_bars, make_feed, make_request

FEED = make_feed(make_bars([100, 101, 99, 98, 120, 60, 100, 101]), make_bars([10, 11, 9, 8, 12, 6, 10, 11]))
REQUEST = make_request(FEED, warmup_bars=2)
FLOATS = st.sampled_from([math.nan, 0.0, -0.0, 1.0, -1.0, 0.5, 100.0, 5e-324, 1e-9, 1e9, 1e18, 1e19, 1e299, -1e299])
WHOLE = st.sampled_from([-(2**53), -2, -1, 0, 1, 2, 3, 4, 5, 7, 8, 100, 2**53])


@st.composite
def forged_rows(draw):
    rows = np.zeros(draw(st.integers(1, 6)), COMMAND)
    for row in rows:
        for name in COMMAND.names:
            dtype = COMMAND[name]
            if dtype.kind == "f":
                row[name] = draw(FLOATS)
            elif dtype.kind == "b":
                row[name] = draw(st.booleans())
            else:
                bounds = np.iinfo(dtype)
                row[name] = draw(WHOLE.filter(lambda value, b=bounds: b.min <= value <= b.max))
    return rows


@st.composite
def likely_rows(draw):
    """Logs that pass the first look: what reaches the kernels."""
    rows = draw(forged_rows())
    rows["seq"] = np.arange(len(rows))
    rows["i_bar"] = np.sort(draw(st.lists(st.integers(2, 7), min_size=len(rows), max_size=len(rows))))
    for row in rows:
        row["kind"] = draw(st.sampled_from([1, 1, 2, 4, 5, 6]))
        row["i_symbol"] = draw(st.sampled_from([0, 1]))
        row["side"] = draw(st.sampled_from([1, -1]))
        row["size_kind"] = draw(st.sampled_from([1, 2, 3]))
        row["leverage"] = draw(st.sampled_from([math.nan, 1.0, 20.0, 125.0, 1e9]))
        row["i_tag"] = -1
    return rows


def judge(rows):
    try:
        result = replay(REQUEST, FEED, CommandLog(rows))
    except IntegrityError:
        return
    equity = result.equity["margin_balance"]
    assert np.isfinite(equity).all()
    assert (result.equity["wallet_balance"] >= 0).all()
    assert len(result.result_hash()) == 64


@settings(max_examples=200, deadline=None)
@given(forged_rows())
def test_a_log_of_nonsense_is_refused_or_replayed(rows):
    judge(rows)


@settings(max_examples=300, deadline=None)
@given(likely_rows())
def test_a_log_that_passes_the_first_look_is_replayed_to_a_finite_account(rows):
    judge(rows)
