import re
from dataclasses import replace

import numpy as np
import pytest

from marketdata.coverage import catalogue
from marketdata.home import candle_store
from marketdata.instruments import load_instruments
from marketdata.models import IngestJob, Instrument, Series
from marketdata.presentation import draw_strip
from marketdata.samples import make_sample
from marketdata.segments import SeriesKey, Source, store_rows
from tests.marketdata.candle_makers import make_candles

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]


def hold(rows, **kwargs):
    key = SeriesKey("usdm", "BTCUSDT", "trade", "1h")
    store_rows(candle_store(), key, [(Source("BTCUSDT-1h-2025-01.zip", "a" * 64, len(rows)), rows)])


def text_of(response):
    return response.content.decode()


def test_strangers_to_the_site_are_sent_to_sign_in(anonymous):
    for url in ("/data/", "/data/1/"):
        assert anonymous.get(url).status_code == 302


def test_pages_are_only_read(owner_client):
    assert owner_client.post("/data/").status_code == 405


def test_an_empty_catalogue_says_how_to_fill_it(owner_client):
    assert "import_candles" in text_of(owner_client.get("/data/"))


def test_the_catalogue_shows_series_gaps_rules_and_fees(owner_client):
    load_instruments()
    hold(make_candles(24 * 31).take(np.delete(np.arange(744), [100, 101])))
    page = text_of(owner_client.get("/data/"))
    for expected in ("BTCUSDT 1h", "742", "1 gap<", "2024-10-01", "GET /fapi/v1/exchangeInfo", "0.0005"):
        assert expected in page
    assert "coverage-gap" in page


def test_pages_carry_no_styles_or_scripts_of_their_own(owner_client):
    hold(make_candles(48))
    for url in ("/data/", f"/data/{Series.objects.get().pk}/"):
        page = text_of(owner_client.get(url))
        assert not re.search(r"\sstyle=|<style|<script>|\son\w+=", page)


def test_synthetic_series_are_labelled_on_both_pages(owner_client):
    make_sample()
    assert text_of(owner_client.get("/data/")).count('never traded">Synthetic<') == 2
    series = Series.objects.get(kind="trade")
    assert "nobody ever traded" in text_of(owner_client.get(f"/data/{series.pk}/"))


def test_a_series_shows_its_gaps_files_and_tiers(owner_client):
    candles = make_candles(24 * 31).take(np.delete(np.arange(744), [100, 101]))
    hold(candles)
    hold(replace(candles, close=candles.close + 0.25).take(slice(0, 5)))
    page = text_of(owner_client.get(f"/data/{Series.objects.get().pk}/"))
    for expected in ("2025-01-05 04:00:00", "2025-01-05 06:00:00", "replaced", "BTCUSDT-1h-2025-01.zip", "121,481,450"):
        assert expected in page


def test_a_series_that_is_not_there_is_404(owner_client):
    assert owner_client.get("/data/12345/").status_code == 404


def test_imports_are_shown_to_staff_only(owner_client, staff_client):
    IngestJob.objects.create(description="Import somewhere")
    assert "Import somewhere" not in text_of(owner_client.get("/data/"))
    assert "Import somewhere" in text_of(staff_client.get("/data/"))


def test_a_strip_places_its_gaps_in_proportion():
    hold(make_candles(100).take(np.delete(np.arange(100), np.arange(50, 60))))
    strip = draw_strip(catalogue()[0])
    assert strip.gaps == ((500.0, 100.0),)
    assert strip.label == "Held from 2025-01-01 to 2025-01-05, 1 gap"


@pytest.mark.parametrize("name", ["instrument", "filterset", "margintierset", "series", "segment", "ingestjob"])
def test_the_admin_lists_finds_and_shows_every_model(staff_client, name):
    make_sample()
    listing = staff_client.get(f"/admin/marketdata/{name}/?q=BTC")
    assert listing.status_code == 200
    found = re.search(
        rf"/admin/marketdata/{name}/([^/]+)/change/", text_of(staff_client.get(f"/admin/marketdata/{name}/"))
    )
    assert found
    assert staff_client.get(found[0]).status_code == 200


def test_filters_that_staff_add_stand_beside_the_older_ones(staff_client):
    load_instruments()
    hold(make_candles(48))
    instrument = Instrument.objects.get(market="usdm", symbol="BTCUSDT")
    data = {"instrument": instrument.pk, "valid_from": "2023-12-01", "source": "Typed in.", "tick_size": "0.1"}
    sizes = {"step_size": "0.001", "min_qty": "0.001", "min_notional": "100", "liquidation_fee_rate": "0.0125"}
    for wrong in ({"tick_size": "0"}, {"min_qty": "-1"}, {"step_size": "nan"}):
        page = text_of(staff_client.post("/admin/marketdata/filterset/add/", {**data, **sizes, **wrong}))
        assert "errorlist" in page
        assert instrument.filter_sets.count() == 1
    assert staff_client.post("/admin/marketdata/filterset/add/", {**data, **sizes}).status_code == 302
    page = text_of(staff_client.get(f"/data/{Series.objects.get().pk}/"))
    newer, older = (page.index(f"Order filters from {day}") for day in ("2023-12-01", "2022-02-18"))
    assert newer < older
    catalogue_page = text_of(staff_client.get("/data/"))
    assert "2023-12-01" in catalogue_page
    assert "2022-02-18" in catalogue_page


def test_the_admin_refuses_tiers_that_contradict_themselves(staff_client):
    load_instruments()
    tier = '{"floor": 5, "cap": 10, "maintenance_rate": 0.01, "max_leverage": 20, "cumulative": 0}'
    for tiers, says in (
        (f"[{tier}]", "must start at 0"),
        ('[{"floor": 1}]', "cap is missing"),
        ("[]", "This field is"),
    ):
        data = {"instrument": 1, "valid_from": "2025-01-01", "source": "me", "tiers": tiers}
        page = text_of(staff_client.post("/admin/marketdata/margintierset/add/", data))
        assert says in page
