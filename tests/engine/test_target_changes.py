"""Which bars of an array of targets are looked at."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from backtests.engine.portfolio.follower import find_changes

NAN = np.nan


@pytest.mark.parametrize(
    ("values", "first_bar", "expected"),
    [
        ([1.0], 0, [0]),
        ([NAN], 0, []),
        ([NAN, 1.0, 1.0, NAN, 1.0, 0.0, 0.0], 0, [1, 4, 5]),
        ([1.0, 1.0, 1.0, 1.0], 2, [0, 2]),  # what was wanted in the warm-up was not looked at
        ([1.0, 1.0, NAN, 1.0], 2, [0, 3]),
        ([0.0, -0.0, 1.0], 0, [0, 2]),
        ([np.inf, np.inf, -np.inf], 0, [0, 2]),
    ],
)
def test_a_number_that_is_not_the_one_before_is_a_change(values, first_bar, expected):
    assert find_changes(np.array(values), first_bar).tolist() == expected


@given(
    arrays(np.float64, st.integers(1, 70), elements=st.sampled_from([NAN, -1.0, 0.0, 0.5, 1.0])),
    st.integers(0, 69),
)
def test_no_change_is_missed_and_none_is_made_up(values, first_bar):
    first_bar = min(first_bar, len(values) - 1)
    expected = [
        i for i, value in enumerate(values) if not np.isnan(value) and (i in {0, first_bar} or value != values[i - 1])
    ]
    assert find_changes(values, first_bar).tolist() == expected
