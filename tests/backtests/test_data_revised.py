"""A revised file marks exactly the runs that have read a row that changed, with the number of bars that differ."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from backtests.data_checks import check_run, check_runs
from backtests.engine.request import RunRequest
from backtests.models import BacktestRun, DataCheck
from marketdata.home import candle_store
from marketdata.models import Segment, Series
from marketdata.segments import SeriesKey, Source, store_rows
from marketdata.services import resolve_run_data
from marketdata.uploads.service import rename_symbol
from tests.builders import build_run, build_version
from tests.marketdata.candle_makers import JANUARY_MS, make_candles, make_funding
from tests.marketdata.private_candles import hold_private

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]

HOUR = 3_600_000
DAY = 24 * HOUR
CANDLES = make_candles(24 * 59)  # January and February


def hold(rows, kind="trade", timeframe="1h", symbol="BTCUSDT", name="made"):
    key = SeriesKey("usdm", symbol, kind, timeframe)
    return store_rows(candle_store(), key, [(Source(name, "0" * 64, len(rows)), rows)])


def run_on(owner, first_day, last_day, *, status="succeeded", symbols=("BTCUSDT",), timeframe="1h", **wanted):
    """A finished run over days of 2025, counted from January 1st."""
    span = {"from_ms": JANUARY_MS + first_day * DAY, "to_ms": JANUARY_MS + last_day * DAY}
    given = {"market": "usdm", "symbols": list(symbols), "timeframe": timeframe, **span, **wanted}
    request = RunRequest.parse(given)
    run_data = resolve_run_data(
        request.market,
        request.symbols,
        timeframe,
        **span,
        warmup_bars=request.warmup_bars,
        intrabar_timeframe=request.intrabar_timeframe,
        user=owner,
    )
    fields = {"market": request.market, "symbol": request.symbol, "timeframe": timeframe, **span}
    return build_run(
        owner, status, version=build_version(owner), request=request.to_json(), run_data=run_data.to_json(), **fields
    )


def revise(hours, candles=CANDLES, **where):
    """Other closes at these hours, in the same file once more."""
    rows = candles.take(np.array(hours))
    return hold(replace(rows, close=rows.close + 0.25), **where)


def count(run):
    check = check_run(run)
    return (check.is_revised, check.n_bars, check.n_marks, check.n_funding)


NOTHING = (False, 0, 0, 0)


@pytest.fixture
def held():
    hold(CANDLES)


def test_exactly_the_runs_that_read_a_changed_row_are_marked(held, owner):
    early, late, whole = run_on(owner, 1, 10), run_on(owner, 12, 20), run_on(owner, 0, 59)
    february, warmed = run_on(owner, 31, 59), run_on(owner, 12, 20, warmup_bars=48)
    assert {count(run) for run in (early, late, whole, february, warmed)} == {NOTHING}
    revise([24 * 10, 24 * 10 + 5, 24 * 11])  # days 10 and 11: before `late`, in its warm-up
    marked = {run.pk for run, check in zip_checks(early, late, whole, february, warmed) if check.is_revised}
    assert marked == {whole.pk, warmed.pk}
    assert count(whole) == count(warmed) == (True, 3, 0, 0)


def zip_checks(*runs):
    checks = check_runs(runs)
    return [(run, checks[run.pk]) for run in runs]


def test_a_file_that_says_the_same_marks_nothing(held, owner):
    run = run_on(owner, 1, 10)
    assert hold(CANDLES)[0].change == "unchanged"
    assert count(run) == NOTHING


def test_columns_that_no_run_reads_do_not_count(held, owner):
    run = run_on(owner, 1, 10)
    rows = CANDLES.take(slice(24, 48))
    assert hold(replace(rows, taker_buy_volume=rows.taker_buy_volume / 2))[0].change == "revised"
    assert count(run) == NOTHING
    hold(replace(rows, volume=rows.volume + 1))
    assert count(run) == (True, 24, 0, 0)


def test_a_revision_that_is_taken_back_clears_the_mark(held, owner):
    run = run_on(owner, 1, 10)
    revise([24 * 3])
    assert count(run) == (True, 1, 0, 0)
    hold(CANDLES.take(np.array([24 * 3])))
    assert count(run) == NOTHING


def test_rows_that_fill_a_gap_differ_too(owner):
    hold(CANDLES.take(np.delete(np.arange(len(CANDLES)), [30, 31, 900])))
    run, later = run_on(owner, 0, 10), run_on(owner, 40, 50)
    hold(CANDLES.take(np.array([30, 31, 900])))
    assert count(run) == (True, 2, 0, 0)
    assert count(later) == NOTHING


def test_a_month_that_was_not_there_fills_its_gap(owner):
    hold(make_candles(24 * 100).take(np.delete(np.arange(2400), np.arange(24 * 31, 24 * 59))))  # without February
    run, january = run_on(owner, 20, 80), run_on(owner, 0, 31)
    hold(CANDLES.take(np.arange(24 * 31, 24 * 59)))
    assert count(run) == (True, 24 * 28, 0, 0)
    assert count(january) == NOTHING


def test_marks_and_funding_are_counts_of_their_own(held, owner):
    hold(CANDLES, kind="mark")
    hold(make_funding(3 * 31), kind="funding", timeframe="")
    run, later = run_on(owner, 1, 10), run_on(owner, 12, 20)
    revise([24 * 3, 24 * 4], kind="mark")
    events = make_funding(3 * 31).take(slice(9, 10))
    hold(replace(events, rate=events.rate * 2), kind="funding", timeframe="")
    assert count(run) == (True, 0, 2, 1)
    assert count(later) == NOTHING
    assert [found["kind"] for found in check_run(run).differences] == ["mark", "funding"]


def test_a_bar_is_counted_once_though_its_finer_candles_changed_too(held, owner):
    minutes = make_candles(12 * 24 * 31, "5m")
    hold(minutes, timeframe="5m")
    run = run_on(owner, 1, 10, intrabar_timeframe="5m")
    revise([24 * 2], timeframe="1h")
    revise([12 * 48, 12 * 48 + 1, 12 * 50], minutes, timeframe="5m")  # two in that hour, one in another
    assert count(run) == (True, 2, 0, 0)


def test_of_built_bars_those_count_that_come_out_different(owner):
    minutes = make_candles(60 * 24 * 31, "1m")
    hold(minutes, timeframe="1m")
    run, four_hours = run_on(owner, 1, 10), run_on(owner, 1, 10, timeframe="4h")
    inside = minutes.take(60 * np.array([30, 31, 50]) + 30)  # one minute in the middle of each hour
    hold(replace(inside, close=inside.close + 0.25), timeframe="1m")
    assert (count(run), count(four_hours)) == (NOTHING, NOTHING)
    hold(replace(inside, volume=inside.volume + 1), timeframe="1m")
    assert (count(run), count(four_hours)) == ((True, 3, 0, 0), (True, 2, 0, 0))
    assert check_run(run).differences[0]["timeframe"] == "1h"


def test_every_symbol_of_a_run_counts(held, owner):
    hold(CANDLES, symbol="ETHUSDT")
    both, one = run_on(owner, 1, 10, symbols=("BTCUSDT", "ETHUSDT")), run_on(owner, 1, 10)
    revise([24 * 3], symbol="ETHUSDT")
    assert count(both) == (True, 1, 0, 0)
    assert check_run(both).differences[0]["symbol"] == "ETHUSDT"
    assert count(one) == NOTHING


def test_unfinished_runs_are_not_checked(held, owner):
    assert check_run(run_on(owner, 1, 10, status="queued")) is None
    assert check_run(run_on(owner, 1, 10, status="failed")) is not None


def test_a_second_look_opens_no_file(held, owner, monkeypatch, django_assert_max_num_queries):
    runs = [run_on(owner, 1, 10), run_on(owner, 2, 8)]
    revise([24 * 3])
    check_runs(runs)
    monkeypatch.setattr("backtests.data_checks.candle_store", lambda: pytest.fail("a file is opened"))
    with django_assert_max_num_queries(2):
        assert all(check.is_revised for check in check_runs(runs).values())


def test_files_that_cannot_be_read_are_told_and_tried_again(held, owner, hindsight_home):
    run = run_on(owner, 1, 10)
    revise([24 * 3])
    store = candle_store()
    segment = Segment.objects.get(month="2025-01-01", is_current=False)
    path = store.files.path_of(segment.sha256)
    kept = path.read_bytes()
    path.unlink()
    shutil.rmtree(hindsight_home / "cache" / "candles")
    assert count(run) == (True, None, None, None)
    path.write_bytes(kept)
    assert count(run) == (True, 1, 0, 0)


def test_the_candles_of_a_deleted_series_are_gone(owner, owner_client):
    series = hold_private(owner, CANDLES)
    run = run_on(owner, 1, 10, symbols=("BTCUSDT_MY",), market="spot")
    series.delete()
    assert check_run(run).is_gone
    assert not check_run(run).is_revised
    assert "not in the catalogue any more" in owner_client.get(reverse("run_detail", args=[run.pk])).content.decode()


def test_a_renamed_series_is_still_the_one_that_was_read(owner):
    series = hold_private(owner, CANDLES)
    run = run_on(owner, 1, 10, symbols=("BTCUSDT_MY",), market="spot")
    rename_symbol(series, "OLD")
    assert count(run) == NOTHING
    assert not check_run(run).is_gone
    rows = CANDLES.take(slice(48, 50))
    hold_private(owner, replace(rows, close=rows.close + 0.25), symbol="OLD_MY")
    assert count(run) == (True, 2, 0, 0)


def test_the_bytes_of_one_users_series_say_nothing_of_anothers(owner, stranger):
    """The same file uploaded by two: one hash, two series."""
    hold_private(owner, CANDLES)
    hold_private(stranger, CANDLES)
    mine = run_on(owner, 1, 10, symbols=("BTCUSDT_MY",), market="spot")
    theirs = run_on(stranger, 1, 10, symbols=("BTCUSDT_MY",), market="spot")
    rows = CANDLES.take(slice(48, 50))
    hold_private(stranger, replace(rows, close=rows.close + 0.25))
    assert count(mine) == NOTHING
    assert count(theirs) == (True, 2, 0, 0)


def test_page_list_and_api_say_so(held, owner, owner_client):
    run, other = run_on(owner, 1, 10, status="failed"), run_on(owner, 12, 20, status="failed")
    revise([24 * 3, 24 * 4])
    page = owner_client.get(reverse("run_detail", args=[run.pk])).content.decode()
    assert "2 bars that this run has read differ" in page
    assert "2025-01-04 00:00" in page
    assert "Run again on today" in page
    assert "since revised" not in owner_client.get(reverse("run_detail", args=[other.pk])).content.decode()
    for url in (reverse("run_list"), reverse("home")):
        assert owner_client.get(url).content.decode().count("Data since revised") == 1
    told = owner_client.get(f"/api/v1/backtests/{run.pk}/").json()["data_revised"]
    assert (told["is_revised"], told["n_bars_that_differ"], told["n_funding_events_that_differ"]) == (True, 2, 0)
    assert told["series"] == [
        {
            "symbol": "BTCUSDT",
            "kind": "candles",
            "timeframe": "1h",
            "n_rows_that_differ": 2,
            "first_ms": JANUARY_MS + 3 * DAY,
            "last_ms": JANUARY_MS + 4 * DAY,
        }
    ]
    listed = {
        row["id"]: row["data_revised"]["is_revised"] for row in owner_client.get("/api/v1/backtests/").json()["results"]
    }
    assert listed == {str(run.pk): True, str(other.pk): False}


def test_a_list_asks_no_more_for_more_runs(held, owner, owner_client, django_assert_num_queries):
    run_on(owner, 1, 10)
    owner_client.get("/api/v1/backtests/")
    with CaptureQueriesContext(connection) as few:
        owner_client.get("/api/v1/backtests/")
        n_queries = len(few)
    for _ in range(3):
        run_on(owner, 1, 10)
    owner_client.get("/api/v1/backtests/")
    with django_assert_num_queries(n_queries):
        owner_client.get("/api/v1/backtests/")


def test_run_again_takes_todays_data(held, owner, owner_client, stranger_client):
    run = run_on(owner, 1, 10)
    BacktestRun.objects.filter(pk=run.pk).update(data_revision="0" * 64)
    revise([24 * 3])
    url = reverse("run_again", args=[run.pk])
    assert stranger_client.post(url).status_code == 404
    assert owner_client.get(url).status_code == 405
    assert owner_client.post(url).status_code == 302
    new = BacktestRun.objects.active().get()
    assert (new.from_ms, new.to_ms, new.strategy_version_id) == (run.from_ms, run.to_ms, run.strategy_version_id)
    current = Segment.objects.get(series=Series.objects.get(), month="2025-01-01", is_current=True)
    assert new.run_data["symbols"][0]["candles"][0]["sha256"] == current.sha256


def test_checks_leave_with_their_run(held, owner):
    run = run_on(owner, 1, 10)
    check_run(run)
    run.delete()
    assert not DataCheck.objects.exists()
