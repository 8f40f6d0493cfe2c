"""Candles that the API builds: pages of them, partial ones, and what they are from."""

import numpy as np
import pytest

from marketdata.home import candle_store
from marketdata.segments import SeriesKey, Source, store_rows
from marketdata.timeframes import DAY_MS, HOUR_MS, MINUTE_MS
from tests.marketdata.candle_makers import JANUARY_MS, make_candles

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]

HISTORY = "/api/v1/data/history/"
N_MINUTES = 59 * 1440
END_MS = JANUARY_MS + 59 * DAY_MS


def hold(rows, timeframe="1m"):
    store_rows(candle_store(), SeriesKey("usdm", "BTCUSDT", "trade", timeframe), [(Source("made", "0" * 64, 1), rows)])


@pytest.fixture
def minutes():
    rows = make_candles(N_MINUTES, "1m")
    hold(rows)
    return rows


def ask(client, timeframe, **query):
    answer = client.get(HISTORY, {"market": "usdm", "symbol": "BTCUSDT", "timeframe": timeframe, **query})
    assert answer.status_code == 200, answer.content
    return answer.json()


def times(body):
    return [candle["time_ms"] for candle in body["candles"]]


def test_a_built_candle_is_that_of_its_rows(owner_client, minutes):
    body = ask(owner_client, "1h", start_date="2025-01-01", limit=2)
    assert (body["timeframe"], body["source_timeframe"]) == ("1h", "1m")
    assert body["candles"][1] == {
        "time_ms": JANUARY_MS + HOUR_MS,
        "open": minutes.open[60],
        "high": minutes.high[60:120].max(),
        "low": minutes.low[60:120].min(),
        "close": minutes.close[119],
        "volume": minutes.volume[60:120].sum(),
        "complete": True,
    }


@pytest.mark.parametrize("timeframe", ["3m", "4h", "1w"])
def test_pages_follow_each_other_to_the_end(owner_client, minutes, timeframe):
    start, seen = "2025-01-01", []
    while start is not None:
        body = ask(owner_client, timeframe, start_date=start, limit={"3m": 5_000, "4h": 100, "1w": 3}[timeframe])
        seen += times(body)
        start = body["next_start_ms"]
    whole = ask(owner_client, timeframe, limit=5_000)
    assert seen[-5_000:] == times(whole)
    assert len(seen) == {"3m": N_MINUTES // 3, "4h": 59 * 6, "1w": 7}[timeframe]
    assert len(set(np.diff(seen).tolist())) == 1


def test_a_candle_that_is_not_wholly_held_is_left_out(owner_client):
    hold(make_candles(N_MINUTES, "1m").take(slice(30, -30)))
    found = times(ask(owner_client, "1h", start_date="2025-01-01", limit=5_000))
    assert (found[0], found[-1]) == (JANUARY_MS + HOUR_MS, END_MS - 2 * HOUR_MS)
    assert times(ask(owner_client, "1h", limit=1)) == [END_MS - 2 * HOUR_MS]
    weeks = times(ask(owner_client, "1w", limit=100))
    assert weeks[0] == JANUARY_MS + 5 * DAY_MS
    assert weeks[-1] + 7 * DAY_MS <= END_MS - 30 * MINUTE_MS


def test_a_candle_that_lacks_rows_is_not_complete(owner_client):
    rows = make_candles(N_MINUTES, "1m")
    hold(rows.take(np.arange(N_MINUTES) != 200))
    candles = ask(owner_client, "1h", start_date="2025-01-01", limit=5)["candles"]
    assert [candle["complete"] for candle in candles] == [True, True, True, False, True]


def test_a_row_off_the_grid_is_shown_as_no_whole_candle_and_in_no_built_one(owner_client):
    rows = make_candles(100, "1h")
    open_ms = rows.open_ms.copy()
    open_ms[10] += 1_694_000
    hold(type(rows)(**rows.columns() | {"open_ms": open_ms}), "1h")
    candles = ask(owner_client, "1h", start_date="2025-01-01", limit=12)["candles"]
    assert [i for i, candle in enumerate(candles) if not candle["complete"]] == [10]
    built = ask(owner_client, "2h", start_date="2025-01-01", limit=12)["candles"]
    assert [i for i, candle in enumerate(built) if not candle["complete"]] == [5]
    assert built[5]["volume"] == rows.volume[11]


def test_wide_gaps_leave_no_page_short(owner_client):
    rows = make_candles(N_MINUTES, "1m")
    hold(rows.take((np.arange(N_MINUTES) < 600) | (np.arange(N_MINUTES) >= 50 * 1440)))
    body = ask(owner_client, "1h", start_date="2025-01-01", limit=20)
    assert len(body["candles"]) == 20
    assert times(body)[9:11] == [JANUARY_MS + 9 * HOUR_MS, JANUARY_MS + 50 * DAY_MS]
    assert len(ask(owner_client, "1h", end_date="2025-02-20T05:00", limit=20)["candles"]) == 15


def test_the_finest_series_that_lacks_nothing_answers(owner_client, minutes):
    hold(make_candles(90 * 24, "1h"), "1h")
    assert ask(owner_client, "1h", start_date="2025-01-01", limit=10)["source_timeframe"] == "1m"
    assert ask(owner_client, "4h", start_date="2025-03-10", limit=10)["source_timeframe"] == "1h"
    assert ask(owner_client, "4h", limit=10)["source_timeframe"] == "1h"
