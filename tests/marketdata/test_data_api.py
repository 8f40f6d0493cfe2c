import time

import pytest

from marketdata.home import candle_store
from marketdata.instruments import load_instruments
from marketdata.samples import make_sample
from marketdata.segments import SeriesKey, Source, store_rows
from marketdata.timeframes import TIMEFRAME_MS
from tests.marketdata.candle_makers import JANUARY_MS, make_candles

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]

HISTORY = "/api/v1/data/history/"
HOUR = 3_600_000
QUERY = {"market": "usdm", "symbol": "BTCUSDT", "timeframe": "1h"}


@pytest.fixture
def held():
    rows = make_candles(24 * 60)
    key = SeriesKey("usdm", "BTCUSDT", "trade", "1h")
    store_rows(candle_store(), key, [(Source("made", "0" * 64, len(rows)), rows)])
    return rows


def ask(client, **query):
    response = client.get(HISTORY, {**QUERY, **query})
    return response.status_code, response.json()


def times(body):
    return [candle["time_ms"] for candle in body["candles"]]


def test_the_api_asks_for_sign_in(anonymous):
    assert anonymous.get(HISTORY).status_code in (401, 403)
    assert anonymous.get("/api/v1/data/symbols/").status_code in (401, 403)


def test_candles_are_objects_with_the_asked_fields(owner_client, held):
    status, body = ask(owner_client, start_date="2025-01-01", limit=2)
    assert status == 200
    assert body["candles"][0] == {
        "time_ms": JANUARY_MS,
        "open": 100.0,
        "high": 101.5,
        "low": 99.5,
        "close": 101.0,
        "volume": 1.0,
        "complete": True,
    }
    assert (body["is_synthetic"], body["timeframe"]) == (False, "1h")


def test_pages_follow_each_other_to_the_end(owner_client, held):
    start, seen = "2025-01-01", []
    while start is not None:
        _, body = ask(owner_client, start_date=start, limit=500)
        seen += times(body)
        start = body["next_start_ms"]
    assert seen == held.open_ms.tolist()


def test_without_a_start_the_last_candles_come(owner_client, held):
    _, body = ask(owner_client, limit=30)
    assert times(body) == held.open_ms[-30:].tolist()
    _, body = ask(owner_client, end_date="2025-02-01T03:00", limit=5)  # over the edge of a month
    assert times(body) == [JANUARY_MS + h * HOUR for h in range(742, 747)]


@pytest.mark.parametrize(
    "start", ["2025-01-31T22:00", "2025-01-31T22:00:00Z", "2025-02-01T00:00+02:00", str(JANUARY_MS + 742 * HOUR)]
)
def test_a_span_is_half_open_and_its_times_may_be_written_in_several_ways(owner_client, held, start):
    _, body = ask(owner_client, start_date=start, end_date="2025-02-01T02:00:00Z")
    assert times(body) == [JANUARY_MS + h * HOUR for h in range(742, 746)]
    assert body["next_start_ms"] is None


def test_a_span_beyond_what_is_held_is_empty_not_an_error(owner_client, held):
    assert ask(owner_client, start_date="2030-01-01")[1]["candles"] == []
    assert ask(owner_client, end_date="2020-01-01")[1]["candles"] == []


@pytest.mark.parametrize(
    ("query", "status", "field", "code"),
    [
        ({"market": ""}, 400, "market", "missing"),
        ({"symbol": ""}, 400, "symbol", "missing"),
        ({"timeframe": ""}, 400, "timeframe", "missing"),
        ({"market": "forex"}, 400, "market", "unknown_choice"),
        ({"symbol": "BTC\0USDT"}, 400, "symbol", "unknown_symbol"),
        ({"symbol": "B" * 5_000}, 400, "symbol", "unknown_symbol"),
        ({"timeframe": "7m"}, 400, "timeframe", "unknown_timeframe"),
        ({"start_date": "soon"}, 400, "start_date", "not_a_time"),
        ({"start_date": "2025-02-30"}, 400, "start_date", "not_a_time"),
        ({"end_date": "9" * 40}, 400, "end_date", "out_of_range"),
        ({"start_date": "1900-01-01"}, 400, "start_date", "out_of_range"),
        ({"start_date": "2025-02-01", "end_date": "2025-01-01"}, 400, "end_date", "empty_span"),
        ({"limit": "0"}, 400, "limit", "out_of_range"),
        ({"limit": "-1"}, 400, "limit", "out_of_range"),
        ({"limit": "1e3"}, 400, "limit", "out_of_range"),
        ({"limit": "5001"}, 400, "limit", "out_of_range"),
        ({"limit": "٣"}, 400, "limit", "out_of_range"),
        ({"intervall": "1h"}, 400, "intervall", "unknown_field"),
        ({"symbol": "ETHUSDT"}, 404, "symbol", "no_such_series"),
        ({"timeframe": "5m"}, 404, "timeframe", "no_such_series"),
        ({"market": "spot"}, 404, "symbol", "no_such_series"),
    ],
)
def test_a_query_that_makes_no_sense_is_told_why(owner_client, held, query, status, field, code):
    given, body = ask(owner_client, **query)
    assert (given, body["field"], body["code"]) == (status, field, code)
    assert body["message"]


def test_symbols_carry_rules_tiers_and_series(owner_client):
    load_instruments()
    make_sample()
    symbols = {(row["market"], row["symbol"]): row for row in owner_client.get("/api/v1/data/symbols/").json()}
    futures = symbols["usdm", "BTCUSDT"]
    [filters] = futures["filters"]
    assert (filters["valid_from"], filters["tick_size"], filters["min_notional"]) == ("2022-02-18", 0.1, 10.0)
    assert "exchangeInfo" in filters["source"]
    assert [row["valid_from"] for row in futures["margin_tiers"]] == ["2026-09-01", "2024-10-01", "2021-03-01"]
    [trade, funding] = futures["series"]
    assert (trade["kind"], trade["timeframe"], trade["is_synthetic"], trade["n_rows"]) == ("trade", "1m", True, 44_640)
    assert (funding["kind"], funding["gaps"]) == ("funding", [])
    assert symbols["spot", "ETHUSDT"]["series"] == []
    assert symbols["spot", "ETHUSDT"]["timeframes"] == []
    offered = {row["timeframe"]: row for row in futures["timeframes"]}
    assert list(offered) == list(TIMEFRAME_MS)
    assert (offered["1m"]["built_from"], offered["4h"]["built_from"]) == (None, "1m")
    assert (offered["4h"]["n_rows"], offered["4h"]["is_synthetic"], offered["4h"]["gaps"]) == (186, True, [])


def test_only_reading_is_allowed(owner_client):
    assert owner_client.post(HISTORY).status_code == 405
    assert owner_client.delete("/api/v1/data/symbols/").status_code == 405


def test_a_thousand_candles_come_quickly(owner_client, held):
    ask(owner_client, limit=1000)
    took = []
    for _ in range(20):
        started = time.perf_counter()
        ask(owner_client, limit=1000)
        took.append(time.perf_counter() - started)
    assert sorted(took)[10] < 0.25  # the goal is 0.05 on a quiet machine; the tests' machine is not
