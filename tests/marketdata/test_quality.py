import gzip
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.ingest.binance_files import parse_candles
from marketdata.ingest.file_names import FileFacts
from marketdata.ingest.packing import SourceFile
from marketdata.ingest.quality import Verdict, check_candles, check_funding
from tests.marketdata.candle_makers import JANUARY_MS, make_candles, make_funding

HOUR = 3_600_000


def with_value(candles, column, i, value):
    values = getattr(candles, column).copy()
    values[i] = value
    return replace(candles, **{column: values})


def test_clean_rows_are_accepted():
    report = check_candles(make_candles(48), "1h")
    assert report.verdict is Verdict.ACCEPTED
    assert (report.begin_ms, report.end_ms) == (JANUARY_MS, JANUARY_MS + 48 * HOUR)


@given(st.sets(st.integers(1, 46), max_size=30))
def test_gaps_are_exactly_the_missing_rows(missing):
    kept = [i for i in range(48) if i not in missing]
    report = check_candles(make_candles(48).take(np.array(kept)), "1h")
    found = {(stamp - JANUARY_MS) // HOUR for from_ms, to_ms in report.gaps for stamp in range(from_ms, to_ms, HOUR)}
    assert found == missing
    assert all(before[1] < after[0] for before, after in zip(report.gaps, report.gaps[1:], strict=False))


def test_rows_twice_and_out_of_order_are_counted_and_taken():
    order = np.array([0, 1, 2, 2, 4, 3, 5])
    report = check_candles(make_candles(6).take(order), "1h")
    assert (report.n_duplicates, report.n_out_of_order, report.verdict) == (1, 1, Verdict.FLAGGED)


def test_two_different_rows_of_one_time_are_refused():
    candles = with_value(make_candles(6).take(np.array([0, 1, 2, 2, 3])), "close", 3, 101.0)
    report = check_candles(candles, "1h")
    assert report.verdict is Verdict.REFUSED
    assert "2025-01-01 02:00:00 differ in close" in report.explain()


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("close", np.nan, "not a number"),
        ("volume", np.inf, "not a number"),
        ("low", 0.0, "not above zero"),
        ("open", -1.0, "not above zero"),
        ("volume", -1.0, "negative volume"),
        ("high", 90.0, "a high below"),
        ("low", 120.0, "a low above"),
    ],
)
def test_impossible_rows_are_refused_with_the_first_of_them(column, value, says):
    report = check_candles(with_value(make_candles(6), column, 4, value), "1h")
    assert report.verdict is Verdict.REFUSED
    assert says in report.explain()
    assert "2025-01-01 04:00:00" in report.explain()


def test_rows_without_trades_are_flagged_but_not_those_of_mark_prices():
    idle = with_value(make_candles(6), "volume", 3, 0.0)
    assert (check_candles(idle, "1h").n_no_trade, check_candles(idle, "1h").verdict) == (1, Verdict.FLAGGED)
    assert check_candles(idle, "1h", "mark").n_no_trade == 0


def test_off_grid_rows_are_counted_and_leave_their_hours_missing():
    candles = with_value(make_candles(6), "open_ms", 3, JANUARY_MS + 3 * HOUR + 1694_000)
    report = check_candles(candles, "1h")
    assert (report.n_off_grid, report.off_grid_first_ms) == (1, JANUARY_MS + 3 * HOUR + 1694_000)
    assert report.gaps == ((JANUARY_MS + 3 * HOUR, JANUARY_MS + 4 * HOUR),)
    assert report.verdict is Verdict.FLAGGED


@pytest.mark.parametrize(("timeframe", "claimed"), [("1h", "1d"), ("5m", "1m"), ("1m", "5m"), ("1h", "5m")])
def test_rows_of_another_timeframe_are_refused(timeframe, claimed):
    report = check_candles(make_candles(48, timeframe), claimed)
    assert report.verdict is Verdict.REFUSED
    assert claimed in report.explain()


def test_weeks_open_on_monday():
    assert (
        check_candles(make_candles(4, "1w", first_ms=1_736_121_600_000), "1w").verdict is Verdict.ACCEPTED
    )  # 2025-01-06
    assert check_candles(make_candles(4, "1w"), "1w").verdict is Verdict.REFUSED  # a Wednesday


def test_a_jump_between_two_rows_is_flagged():
    candles = make_candles(6)
    jumped = replace(
        candles,
        **{name: np.where(np.arange(6) >= 3, getattr(candles, name) * 1.2, getattr(candles, name)) for name in PRICES},
    )
    report = check_candles(jumped, "1h")
    assert report.jumps == (JANUARY_MS + 3 * HOUR,)
    assert report.verdict is Verdict.FLAGGED


PRICES = ("open", "high", "low", "close")


def test_funding_with_jitter_has_no_gaps_and_a_missing_event_is_one():
    assert check_funding(make_funding(9)).gaps == ()
    report = check_funding(make_funding(9).take(np.array([0, 1, 2, 4, 5])))
    assert report.gaps == ((JANUARY_MS + 24 * HOUR, JANUARY_MS + 32 * HOUR),)


def test_the_outages_of_six_years_of_hours_are_found_no_more_no_fewer(shared_data):
    path = shared_data / "other/binance_spot_BTCUSDT-1h_20170817-20231231_gapped.csv.gz"
    text = gzip.decompress(path.read_bytes())
    candles = parse_candles(SourceFile(path.name, "", text), FileFacts("spot", "BTCUSDT", "trade", "1h"))
    report = check_candles(candles, "1h")
    assert report.n_rows == 55_765
    assert len(report.gaps) == 28
    assert sum(to_ms - from_ms for from_ms, to_ms in report.gaps) == 170 * HOUR
    assert report.n_off_grid == 43
    assert report.off_grid_first_ms == 1_518_168_494_000  # 2018-02-09 09:28:14
    assert report.off_grid_last_ms == 1_518_319_694_000  # 2018-02-11 03:28:14
    assert report.verdict is Verdict.FLAGGED


def test_rows_without_volume_that_moved_or_counted_trades_are_flagged():
    candles = make_candles(24)
    volume = candles.volume.copy()
    volume[[3, 9]] = 0
    report = check_candles(replace(candles, volume=volume), "1h")
    assert (report.n_no_trade, report.n_contradictory, report.verdict) == (2, 2, Verdict.FLAGGED)
    assert "2 in contradiction with themselves" in report.summary()
