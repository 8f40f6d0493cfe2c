import datetime as dt
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from marketdata.arrays import FundingArrays
from marketdata.ingest.merging import merge_rows, split_months
from tests.marketdata.candle_makers import JANUARY_MS, make_candles, make_funding

SLICES = st.lists(st.tuples(st.integers(0, 39), st.integers(1, 40)), min_size=1, max_size=6)


@given(SLICES)
def test_overlapping_parts_of_one_series_make_that_series(slices):
    whole = make_candles(40)
    parts = [whole.take(slice(first, first + n)) for first, n in slices]
    covered = sorted({i for first, n in slices for i in range(first, min(first + n, 40))})
    assert merge_rows(parts).has_same_rows(whole.take(np.array(covered)))


@given(SLICES)
def test_of_several_rows_for_one_time_the_latest_part_stands(slices):
    parts = [make_candles(40, price=100.0 + 10 * k).take(slice(a, a + n)) for k, (a, n) in enumerate(slices)]
    merged = merge_rows(parts)
    expected = {}
    for part in parts:
        expected |= dict(zip(part.open_ms.tolist(), part.open.tolist(), strict=True))
    assert dict(zip(merged.open_ms.tolist(), merged.open.tolist(), strict=True)) == dict(sorted(expected.items()))


def test_a_row_that_only_knows_less_does_not_replace_a_fuller_one():
    full = make_candles(6)
    poor = replace(full, n_trades=np.full(6, -1), quote_volume=np.full(6, np.nan))
    assert merge_rows([full, poor]).has_same_rows(full)
    assert merge_rows([poor, full]).has_same_rows(full)
    assert merge_rows([full, poor, poor]).has_same_rows(full)


def test_a_poorer_row_with_other_prices_is_a_revision():
    full = make_candles(6)
    revised = replace(full, n_trades=np.full(6, -1), close=full.close + 0.25)
    assert merge_rows([full, revised]).has_same_rows(revised)


def test_funding_events_within_a_second_are_one():
    funding = make_funding(6)
    jittered = FundingArrays(funding.time_ms + 3, funding.rate, funding.interval_hours, funding.mark_price)
    assert merge_rows([funding, jittered]).time_ms.tolist() == jittered.time_ms.tolist()


def test_months_are_cut_at_utc_midnight():
    rows = make_candles(24 * 59 + 1, first_ms=JANUARY_MS - 3_600_000)
    months = list(split_months(rows))
    assert [month for month, _ in months] == [dt.date(2024, 12, 1), *(dt.date(2025, m, 1) for m in (1, 2))]
    assert [len(part) for _, part in months] == [1, 744, 672]


def test_a_funding_event_a_little_before_midnight_belongs_to_the_new_month():
    funding = replace(make_funding(1), time_ms=np.array([JANUARY_MS - 4]))
    assert [month for month, _ in split_months(funding)] == [dt.date(2025, 1, 1)]
