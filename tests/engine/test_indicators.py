import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests.engine.cursor import Cursor
from backtests.engine.errors import StrategyRunError
from backtests.engine.indicators import (
    Indicator,
    Indicators,
    compute_lines,
    crossed_above,
    crossed_below,
    find_crossings,
    guess_pane,
)

NAN = math.nan


def line(values, i_bar=0, cursor=None):
    return Indicator("line", np.array(values, float), cursor or Cursor(i_bar))


def series(values):
    return pd.Series(np.array(values, float), name="close")


def test_only_what_is_revealed_is_seen():
    cursor = Cursor(1)
    x = line([1, 2, 3, 4], cursor=cursor)
    assert (x[-1], x.value, x[-2], x[0], len(x)) == (2, 2, 1, 1, 2)
    assert x[-10:].tolist() == [1, 2]
    assert list(x) == [1, 2]
    with pytest.raises(IndexError, match="not known yet"):
        x[2]
    cursor.i_bar = 3
    assert (x[-1], len(x)) == (4, 4)


def test_before_the_first_value_is_nan():
    x = line([NAN, 5], i_bar=0)
    assert math.isnan(x.value)
    assert math.isnan(x[-2])
    assert not x
    assert not x > 1
    assert not x < 1


def test_before_the_first_bar_the_last_value_does_not_show():
    x = line([1, 2, 3], i_bar=-1)
    assert math.isnan(x.value)
    assert len(x) == 0
    assert x[-5:].tolist() == []
    assert not crossed_above(x, 2)
    assert not crossed_above(x, line([3, 2, 1], cursor=x._cursor))


def test_it_compares_and_calculates_like_its_value():
    x, y = line([2]), line([8])
    assert x < y
    assert y >= 8
    assert x < 3.0
    assert (x + 1, 1 - x, y / x, x * 2, 16 / y, -x, abs(-x), float(y)) == (3, -1, 4, 4, 2, -2, 2, 8)
    assert bool(x)
    assert not line([0])


def test_what_is_revealed_cannot_be_changed():
    x = line([1, 2, 3], i_bar=2)
    part = x[-2:]
    part[:] = 99
    assert x[-1] == 3


def test_crossed_above_is_true_on_the_bar_of_the_crossing_only():
    cursor = Cursor()
    a, b = line([1, 2, 3, 4, 1], cursor=cursor), line([2, 2, 2, 2, 2], cursor=cursor)
    found = []
    for cursor.i_bar in range(5):
        found.append((crossed_above(a, b), crossed_below(a, b)))
    assert found == [(False, False), (False, False), (True, False), (False, False), (False, True)]


def test_a_line_and_a_level_cross_too():
    rsi = line([28, 29, 31, 32], i_bar=2)
    assert crossed_above(rsi, 30)
    assert crossed_below(30, rsi)
    assert not crossed_below(rsi, 30)
    rsi._cursor.i_bar = 3
    assert not crossed_above(rsi, 30)
    assert not crossed_above(NAN, rsi)


def test_levels_that_change_at_every_bar_are_not_kept():
    rsi = line(np.arange(1000.0), i_bar=999)
    assert [crossed_above(rsi, 998 + i / 1000) for i in range(3)] == [True, True, True]
    for i in range(1000):
        crossed_above(rsi, float(i))
    assert len(rsi._rises) <= 64
    assert crossed_above(rsi, 998.5)


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from([NAN, 0.0, 1.0, 2.0, 3.0])] * 2), min_size=1, max_size=30))
def test_crossings_of_the_whole_span_are_those_of_each_bar(pairs):
    cursor = Cursor()
    a, b = line([p[0] for p in pairs], cursor=cursor), line([p[1] for p in pairs], cursor=cursor)
    for cursor.i_bar in range(len(pairs)):
        assert crossed_above(a, b) == (a[-2] <= b[-2] and a[-1] > b[-1])
        assert crossed_below(a, b) == (a[-2] >= b[-2] and a[-1] < b[-1])
        assert crossed_above(a, 1.0) == (a[-2] <= 1.0 and a[-1] > 1.0)
        assert crossed_above(a[-9:], b[-9:]) == crossed_above(a, b)


def test_an_array_or_a_series_crosses_by_its_last_two_values():
    assert crossed_above(np.array([1.0, 3.0]), pd.Series([2.0, 2.0]))
    assert not crossed_above(np.array([3.0]), 1)
    with pytest.raises(TypeError, match="is a text"):
        crossed_above("close", 1)


def test_find_crossings_never_marks_the_first_value():
    assert find_crossings(np.array([5.0, 6.0]), 1.0).tolist() == [False, False]


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (np.arange(3.0), ["fn(2)"]),
        ([1, 2, 3], ["fn(2)"]),
        (pd.Series([1, 2, 3], name="SMA_2"), ["SMA_2"]),
        (pd.Series([1, 2, 3], name="close"), ["fn(2)"]),
        (pd.Series([True, False, True]), ["fn(2)"]),
        ((np.arange(3.0), np.arange(3.0)), ["fn(2)[0]", "fn(2)[1]"]),
        (pd.DataFrame({"upper": [1, 2, 3], "lower": [0, 1, 2]}), ["upper", "lower"]),
        ((pd.DataFrame({"a": [1, 2, 3]}), None), ["a"]),
    ],
)
def test_the_result_of_a_function_is_taken_apart(result, names):
    def fn(close, length):
        return result

    assert [name for name, _ in compute_lines(fn, [series([1, 2, 3])], {"length": 2}, 3)] == names


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (None, r"fn\(2\) returned nothing. It may need more bars than the 3 "),
        (np.arange(2.0), r"fn\(2\) has 2 values for 3 bars"),
        (5.0, "array of 0 dimensions"),
        (np.zeros((3, 2)), "array of 2 dimensions"),
        ("abc", "returned str, not numbers"),
        (object(), "returned object, not numbers"),
    ],
)
def test_a_result_that_is_no_line_is_refused_in_clear_words(result, text):
    def fn(close, length):
        return result

    with pytest.raises(StrategyRunError, match=text):
        compute_lines(fn, [series([1, 2, 3])], {"length": 2}, 3)


def test_several_lines_are_unpacked_or_asked_for_by_name():
    cursor = Cursor(0)
    bands = Indicators([Indicator("upper", np.array([2.0]), cursor), Indicator("lower", np.array([1.0]), cursor)])
    upper, lower = bands
    assert bands["lower"] is lower
    assert bands[0] is upper
    with pytest.raises(KeyError, match="upper, lower"):
        bands["middle"]


def test_a_line_along_the_candles_is_drawn_over_them_and_others_beside():
    low, high = np.full(10, 99.0), np.full(10, 101.0)
    assert guess_pane("sma", np.full(10, 100.0), low, high) == "price"
    assert guess_pane("rsi", np.full(10, 50.0), low, high) == "rsi"
    assert guess_pane("nothing", np.full(10, NAN), low, high) == "nothing"
