"""A private series is there for its owner alone: on pages, in the API, in forms and in runs."""

import json

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from backtests.forms import tradable_series
from backtests.services import request_from_mapping
from marketdata.coverage import catalogue
from marketdata.home import candle_store
from marketdata.instruments import load_instruments
from marketdata.models import Instrument, Series
from marketdata.segments import SeriesKey, Source, store_rows
from marketdata.services import DataUnavailable, resolve_run_data
from tests.builders import build_version
from tests.marketdata.candle_makers import JANUARY_MS, make_candles
from tests.marketdata.private_candles import hold_private

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]

DAY = 86_400_000
HISTORY = "/api/v1/data/history/?market=spot&symbol=BTCUSDT_MY&timeframe=1h"


@pytest.fixture
def series(owner):
    return hold_private(owner, make_candles(24 * 31))


def test_pages_show_it_to_its_owner_alone(series, owner_client, stranger_client, staff_client):
    url = f"/data/{series.pk}/"
    assert owner_client.get(url).status_code == 200
    assert "BTCUSDT_MY" in owner_client.get("/data/").content.decode()
    for client in (stranger_client, staff_client):
        assert client.get(url).status_code == 404
        assert "BTCUSDT_MY" not in client.get("/data/").content.decode()


def test_the_api_shows_it_to_its_owner_alone(series, owner_client, stranger_client):
    assert "BTCUSDT_MY" in owner_client.get("/api/v1/data/symbols/").content.decode()
    assert "BTCUSDT_MY" not in stranger_client.get("/api/v1/data/symbols/").content.decode()
    assert owner_client.get(HISTORY).status_code == 200
    answer = stranger_client.get(HISTORY)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_series")
    assert "It is held at" not in answer.content.decode()


def test_the_run_form_offers_it_to_its_owner_alone(series, owner, stranger):
    assert {row.symbol for row in tradable_series(owner)} == {"BTCUSDT_MY"}
    assert tradable_series(stranger) == []


def test_only_its_owner_may_run_on_it(series, owner, stranger):
    raw = {"market": "spot", "symbol": "BTCUSDT_MY", "timeframe": "1h", "from": "2025-01-02", "to": "2025-01-20"}
    run = request_from_mapping(owner, {**raw, "strategy": str(build_version(owner).strategy_id)})
    assert run.symbol == "BTCUSDT_MY"
    with pytest.raises(Exception, match="No spot candles of BTCUSDT_MY are held") as error:
        request_from_mapping(stranger, {**raw, "strategy": str(build_version(stranger).strategy_id)})
    assert error.value.code == "unknown_symbol"


def test_nobody_in_particular_gets_no_private_symbol(series):
    with pytest.raises(DataUnavailable) as error:
        resolve_run_data("spot", ["BTCUSDT_MY"], "1h", JANUARY_MS, JANUARY_MS + DAY)
    assert "BTCUSDT_MY are held. Nothing is held yet" in error.value.message
    assert catalogue() == []


def test_two_users_may_call_their_series_the_same(series, stranger):
    other = hold_private(stranger, make_candles(48, price=200.0))
    assert other.instrument_id != series.instrument_id
    run_data = resolve_run_data("spot", ["BTCUSDT_MY"], "1h", JANUARY_MS, JANUARY_MS + DAY, user=stranger)
    assert run_data.symbols[0].candles[0].n_rows == 48


def test_operators_list_private_series_with_their_owner(series, capsys):
    call_command("list_candles", "--json")
    assert json.loads(capsys.readouterr().out)["owner"] == "owner@example.org"


def test_a_private_symbol_always_says_so(owner):
    load_instruments()
    assets = {"base_asset": "X", "quote_asset": "USDT"}
    for row in ({"owner": owner, "symbol": "BTCUSDT"}, {"owner": None, "symbol": "BTCUSDT_MY"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Instrument.objects.create(market="usdm", **row, **assets)


def test_an_upload_is_never_mixed_with_the_exchanges_own_candles(series, owner):
    store_rows(
        candle_store(), SeriesKey("spot", "BTCUSDT", "trade", "1h"), [(Source("a", "0" * 64, 9), make_candles(9))]
    )
    assert {(row.symbol, row.is_private) for row in catalogue(Series.objects.visible_to(owner))} == {
        ("BTCUSDT", False),
        ("BTCUSDT_MY", True),
    }
