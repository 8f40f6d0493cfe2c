"""Which timeframes are offered of what is held, and how much a series lacks of a span."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.coverage import SeriesCoverage
from marketdata.offers import choose_source, count_lacking, cover_timeframe, offered_timeframes
from marketdata.timeframes import DAY_MS, HOUR_MS, MINUTE_MS, TIMEFRAME_MS, next_open_ms
from tests.marketdata.candle_makers import JANUARY_MS


def cover(timeframe="1m", first_ms=JANUARY_MS, end_ms=JANUARY_MS + 31 * DAY_MS, gaps=(), **other):
    length_ms = TIMEFRAME_MS[timeframe]
    values = {
        "series_id": 1, "market": "spot", "symbol": "BTCUSDT", "kind": "trade", "timeframe": timeframe,
        "origin": "exchange", "name": "made", "owner_id": None, "owner": "",
        "n_rows": (end_ms - first_ms) // length_ms, "first_ms": first_ms, "last_ms": end_ms - length_ms,
        "end_ms": end_ms, "gaps": gaps, "n_no_trade": 0, "n_off_grid": 0, "n_duplicates": 0, "n_jumps": 0,
        "n_bytes": 0, "n_segments": 1, "revision": "",
    }  # fmt: skip
    return SeriesCoverage(**values | other)


def test_minutes_offer_every_timeframe():
    offered = offered_timeframes([cover()])
    assert [row.timeframe for row in offered] == list(TIMEFRAME_MS)
    assert {row.source_timeframe for row in offered} == {"1m"}
    assert [row.built_from for row in offered[:2]] == ["", "1m"]


def test_each_timeframe_names_the_series_that_holds_most_the_finest_among_equals():
    held = [cover("5m"), cover("1h", end_ms=JANUARY_MS + 365 * DAY_MS), cover("1d", end_ms=JANUARY_MS + 365 * DAY_MS)]
    sources = {row.timeframe: row.source_timeframe for row in offered_timeframes(held)}
    assert (sources["15m"], sources["1h"], sources["1d"]) == ("5m", "1h", "1h")
    assert "1m" not in sources


def test_markets_symbols_owners_and_origins_are_offered_apart():
    held = [cover("12h"), cover("12h", symbol="ETHUSDT"), cover("12h", origin="synthetic"), cover("12h", owner="a@b.c")]
    assert [row.timeframe for row in offered_timeframes(held)] == ["12h", "1d", "3d", "1w"] * 4
    assert offered_timeframes([cover(kind="mark"), cover("8h", kind="funding")]) == []


def test_a_timeframe_longer_than_what_is_held_is_not_offered():
    week = cover(end_ms=JANUARY_MS + 7 * DAY_MS)  # from a Wednesday
    assert "1w" not in [row.timeframe for row in offered_timeframes([week])]


def test_the_coverage_of_a_built_timeframe_is_of_whole_candles():
    gaps = ((JANUARY_MS + 90 * MINUTE_MS, JANUARY_MS + 200 * MINUTE_MS), (JANUARY_MS + DAY_MS, JANUARY_MS + DAY_MS + 1))
    source = cover(first_ms=JANUARY_MS + MINUTE_MS, end_ms=JANUARY_MS + 2 * DAY_MS + 90 * MINUTE_MS, gaps=gaps)
    hours = cover_timeframe(source, "1h")
    assert (hours.first_ms, hours.end_ms) == (JANUARY_MS + HOUR_MS, JANUARY_MS + 49 * HOUR_MS)
    assert hours.gaps == ((JANUARY_MS + 2 * HOUR_MS, JANUARY_MS + 3 * HOUR_MS),)
    assert (hours.n_rows, hours.n_missing, hours.built_from) == (47, 1, "1m")


@given(
    first=st.integers(0, 300),
    length=st.integers(1, 3_000),
    cuts=st.lists(st.integers(0, 3_000), max_size=8),
    span=st.tuples(st.integers(-500, 3_500), st.integers(1, 3_000)),
    timeframe=st.sampled_from(["1m", "5m", "1h", "4h"]),
)
def test_what_a_series_lacks_is_counted_as_a_slow_loop_counts_it(first, length, cuts, span, timeframe):
    edges = sorted({cut for cut in cuts if first < cut < first + length})
    gaps = list(zip(edges[::2], edges[1::2], strict=False))
    at = [JANUARY_MS + minute * MINUTE_MS for minute in (first, first + length)]
    gaps_ms = tuple((JANUARY_MS + a * MINUTE_MS, JANUARY_MS + b * MINUTE_MS) for a, b in gaps)
    source = cover(first_ms=at[0], end_ms=at[1], gaps=gaps_ms)
    missing = {minute for a, b in gaps for minute in range(a, b)}
    held = {minute for minute in range(first, first + length) if minute not in missing}
    from_ms, to_ms = JANUARY_MS + span[0] * MINUTE_MS, JANUARY_MS + sum(span) * MINUTE_MS
    per_candle = TIMEFRAME_MS[timeframe] // MINUTE_MS
    expected = 0
    for open_ms in range(next_open_ms(timeframe, from_ms), to_ms, TIMEFRAME_MS[timeframe]):
        minute = (open_ms - JANUARY_MS) // MINUTE_MS
        expected += not held.issuperset(range(minute, minute + per_candle))
    assert count_lacking(source, timeframe, from_ms, to_ms) == expected


def test_a_source_covers_the_span_and_lacks_least():
    gap = ((JANUARY_MS + HOUR_MS, JANUARY_MS + 90 * MINUTE_MS),)
    fine, hours = cover("1m", gaps=gap), cover("1h")
    to_ms = JANUARY_MS + 10 * DAY_MS
    assert choose_source([fine, hours], "1h", JANUARY_MS, to_ms) is hours
    assert choose_source([fine, hours], "1h", JANUARY_MS + DAY_MS, to_ms) is fine
    assert choose_source([fine, hours], "1h", JANUARY_MS + DAY_MS, to_ms, counted_from_ms=JANUARY_MS) is hours
    assert choose_source([fine, hours], "1h", JANUARY_MS - 1, to_ms) is None
    assert choose_source([cover("1m", origin="synthetic"), hours], "1h", JANUARY_MS, to_ms) is hours
    assert choose_source([hours], "30m", JANUARY_MS, to_ms) is None


@pytest.mark.parametrize("timeframe", ["3d", "1w"])
def test_gaps_of_long_candles_lie_on_their_grid(timeframe):
    gap = (JANUARY_MS + 2 * DAY_MS, JANUARY_MS + 20 * DAY_MS)
    found = cover_timeframe(cover(gaps=(gap,)), timeframe)
    for start, end in found.gaps:
        assert gap[0] <= start < end <= gap[1]
        assert next_open_ms(timeframe, start) == start
        assert next_open_ms(timeframe, end) == end
