"""What a candle of a longer timeframe is: laws that hold for any rows, and the exchange's own candles."""

import csv
import datetime as dt
import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.aggregation import build_candles, sum_decimals
from marketdata.timeframes import DAY_MS, MINUTE_MS, TIMEFRAME_MS, builds, next_open_ms, opening_phase_ms
from tests.marketdata.candle_makers import JANUARY_MS, make_candles

MINUTES = 60_000
NAMES = ("open_ms", "open", "high", "low", "close", "volume", "quote_volume", "n_trades", "taker_buy_volume")
LADDERS = [
    (source, middle, target)
    for source in TIMEFRAME_MS
    for middle in TIMEFRAME_MS
    for target in TIMEFRAME_MS
    if builds(source, middle) and builds(middle, target) and len({source, middle, target}) == 3
]


def random_rows(seed: int, n: int, timeframe: str, first_ms: int, decimals: int, missing: float) -> dict:
    """Rows on the grid of `timeframe`, some of them missing, some without trades, some with unknown counts."""
    random = np.random.default_rng(seed)
    cells = np.flatnonzero(random.random(n) >= missing)
    low = np.round(random.uniform(10, 20, len(cells)), 2)
    high = low + np.round(random.uniform(0, 3, len(cells)), 2)
    volume = np.round(random.uniform(0, 1_000, len(cells)) * (random.random(len(cells)) > 0.1), decimals)
    return {
        "open_ms": next_open_ms(timeframe, first_ms) + TIMEFRAME_MS[timeframe] * cells.astype(np.int64),
        "open": np.round(random.uniform(low, high), 2),
        "high": high,
        "low": low,
        "close": np.round(random.uniform(low, high), 2),
        "volume": volume,
        "quote_volume": np.round(volume * low, 5),
        "n_trades": np.where(random.random(len(cells)) > 0.99, -1, random.integers(0, 50, len(cells))),
        "taker_buy_volume": np.where(random.random(len(cells)) > 0.99, np.nan, volume / 2),
    }


rows = st.builds(
    random_rows,
    seed=st.integers(0, 2**32),
    n=st.integers(0, 400),
    timeframe=st.shared(st.sampled_from(LADDERS), key="ladder").map(lambda ladder: ladder[0]),
    first_ms=st.integers(0, 2_000_000_000_000),
    decimals=st.sampled_from([0, 3, 8, 15]),
    missing=st.sampled_from([0.0, 0.05, 0.9]),
)
ladders = st.shared(st.sampled_from(LADDERS), key="ladder")


def same(left, right, exact_sums=True):
    for name in NAMES:
        is_sum = name.endswith("volume")
        if is_sum and not exact_sums:
            np.testing.assert_allclose(left[name], right[name], rtol=1e-15)
        else:
            np.testing.assert_array_equal(left[name], right[name])


@given(rows, ladders, st.booleans())
def test_candles_of_candles_are_candles_of_their_rows(rows, ladder, is_rounded):
    _, middle, target = ladder
    if is_rounded:
        rows = {name: np.round(column, 3) for name, column in rows.items()}
    by_steps = build_candles(build_candles(rows, middle).columns, target).columns
    same(by_steps, build_candles(rows, target).columns, exact_sums=is_rounded)


@given(rows, ladders)
def test_a_candle_is_what_a_slow_loop_makes_of_its_rows(rows, ladder):
    target = ladder[2]
    length, phase = TIMEFRAME_MS[target], opening_phase_ms(target)
    groups: dict[int, list[int]] = {}
    for i, time in enumerate(rows["open_ms"].tolist()):
        groups.setdefault((time - phase) // length * length + phase, []).append(i)
    built = build_candles(rows, target)
    assert built.columns["open_ms"].tolist() == list(groups)
    for k, group in enumerate(groups.values()):
        assert built.n_rows[k] == len(group)
        assert built.columns["open"][k] == rows["open"][group[0]]
        assert built.columns["close"][k] == rows["close"][group[-1]]
        assert built.columns["high"][k] == max(rows["high"][group])
        assert built.columns["low"][k] == min(rows["low"][group])
        trades = rows["n_trades"][group]
        assert built.columns["n_trades"][k] == (-1 if -1 in trades else sum(trades))
        assert built.columns["volume"][k] == pytest.approx(math.fsum(rows["volume"][group]), rel=1e-15)


@given(rows, ladders, st.integers(0, 400))
def test_a_candle_does_not_depend_on_what_else_is_built(rows, ladder, n):
    target = ladder[2]
    whole = build_candles(rows, target).columns
    kept = whole["open_ms"][: n % (len(whole["open_ms"]) + 1)]
    end = kept[-1] + TIMEFRAME_MS[target] if len(kept) else 0
    part = build_candles({name: column[rows["open_ms"] < end] for name, column in rows.items()}, target).columns
    same(part, {name: column[: len(kept)] for name, column in whole.items()})


@given(st.lists(st.decimals(0, 10**7, places=8, allow_nan=False), min_size=1, max_size=60), st.integers(0, 8))
def test_volumes_are_added_as_the_decimals_they_were(texts, places):
    decimals = [round(number, places) for number in texts]
    values = np.array([float(number) for number in decimals])
    expected = sum(decimals, Decimal(0))
    [total] = sum_decimals(values, np.array([0]))
    if expected * 10**places < 2**53:
        assert total == float(expected)
    assert total == pytest.approx(float(expected), rel=1e-15)


def test_sums_of_ten_tenths_are_one():
    assert sum_decimals(np.full(10, 0.1), np.array([0]))[0] == 1.0
    assert np.isnan(sum_decimals(np.array([1.0, np.nan, 2.0]), np.array([0, 2]))).tolist() == [True, False]
    assert sum_decimals(np.array([1 / 3, 1 / 3, 0.5]), np.array([0, 2])).tolist() == [2 / 3, 0.5]
    assert sum_decimals(np.array([9e15, 0.5, 0.25]), np.array([0]))[0] == math.fsum([9e15, 0.5, 0.25])


def test_no_rows_build_no_candles():
    built = build_candles(make_candles(0, "1m").columns(), "1h")
    assert len(built) == 0
    assert all(len(column) == 0 for column in built.columns.values())
    assert built.columns["n_trades"].dtype == np.int64


def opens(timeframe, first, last):
    first_ms, last_ms = (int(dt.datetime.fromisoformat(day + "+00:00").timestamp() * 1000) for day in (first, last))
    built = build_candles({"open_ms": np.arange(first_ms, last_ms, 60 * MINUTES)}, timeframe)
    return [
        dt.datetime.fromtimestamp(ms / 1000, dt.UTC).strftime("%Y-%m-%d %H") for ms in built.columns["open_ms"].tolist()
    ]


def test_weeks_begin_on_monday_across_a_year_and_a_leap_day():
    assert opens("1w", "2024-12-23", "2025-01-13") == ["2024-12-23 00", "2024-12-30 00", "2025-01-06 00"]
    assert opens("1w", "2024-02-26", "2024-03-11") == ["2024-02-26 00", "2024-03-04 00"]


def test_three_days_are_cut_as_the_exchange_cuts_them():
    # Its first candle opened on 2017-08-17, the day of its first trade; opens of July 2026 as it publishes them.
    assert opens("3d", "2017-08-17", "2017-08-23") == ["2017-08-17 00", "2017-08-20 00"]
    assert opens("3d", "2026-07-07", "2026-07-16") == ["2026-07-07 00", "2026-07-10 00", "2026-07-13 00"]
    assert opens("3d", "2024-02-27", "2024-03-04") == ["2024-02-27 00", "2024-03-01 00"]


def test_days_know_no_summer_time():
    # The clocks of Europe and New York changed on 2025-03-30 and 2025-03-09.
    days = opens("1d", "2025-03-01", "2025-04-05")
    assert [day[-2:] for day in days] == ["00"] * 35
    assert opens("4h", "2025-03-30", "2025-03-31") == [f"2025-03-30 {h:02}" for h in range(0, 24, 4)]
    assert opens("8h", "2024-12-31", "2025-01-01T12") == [f"2024-12-31 {h:02}" for h in (0, 8, 16)] + [
        "2025-01-01 00", "2025-01-01 08"
    ]  # fmt: skip


@pytest.mark.parametrize("timeframe", TIMEFRAME_MS)
def test_every_timeframe_is_built_from_minutes(timeframe):
    length_ms = TIMEFRAME_MS[timeframe]
    first_ms = next_open_ms(timeframe, JANUARY_MS)
    n = length_ms // MINUTE_MS
    rows = make_candles(2 * n + 1, "1m", first_ms)
    built = build_candles(rows.columns(), timeframe)
    assert built.columns["open_ms"].tolist() == [first_ms, first_ms + length_ms, first_ms + 2 * length_ms]
    assert built.n_rows.tolist() == [n, n, 1]
    assert next_open_ms(timeframe, first_ms + 1) == first_ms + length_ms


def test_three_days_fit_no_week_and_three_minutes_no_five():
    assert not builds("3d", "1w")
    assert not builds("3m", "5m")
    assert not builds("1h", "30m")
    assert builds("3m", "15m")
    assert builds("1h", "1h")
    assert DAY_MS % TIMEFRAME_MS["12h"] == 0


def read_month(folder, timeframe):
    found = []
    for path in sorted((folder / "binance/futures/BTCUSDT" / timeframe).glob("*.csv")):
        with path.open() as lines:
            found += list(csv.DictReader(lines))
    assert found
    names = {"open_ms": "open_time", "n_trades": "count"} | {n: n for n in NAMES if n not in ("open_ms", "n_trades")}
    return {
        name: np.array([int(row[key]) if name in ("open_ms", "n_trades") else float(row[key]) for row in found])
        for name, key in names.items()
    }


@pytest.mark.parametrize(("source", "timeframe"), [
    ("5m", "15m"), ("5m", "1h"), ("5m", "4h"), ("5m", "1d"), ("15m", "1h"), ("15m", "1d"), ("1h", "4h"), ("4h", "1d")
])  # fmt: skip
def test_a_month_is_built_as_it_is_published(shared_data, source, timeframe):
    expected = read_month(shared_data, timeframe)
    built = build_candles(read_month(shared_data, source), timeframe)
    same(built.columns, expected, exact_sums=False)  # quote volumes of days have more digits than were published
    np.testing.assert_array_equal(built.columns["volume"], expected["volume"])
    assert set(built.n_rows.tolist()) == {TIMEFRAME_MS[timeframe] // TIMEFRAME_MS[source]}
