"""The page of one series: months, chart, rows as a file, filters of the list."""

import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from django.urls import reverse

from marketdata.coverage import catalogue
from marketdata.home import candle_store
from marketdata.models import Series
from marketdata.presentation import tabulate_months
from marketdata.preview import View, draw_series
from marketdata.segments import SeriesKey, Source, store_rows
from tests.marketdata.candle_makers import JANUARY_MS, make_candles, make_funding
from tests.marketdata.private_candles import hold_private

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]

DAY = 86_400_000


def hold(rows, kind="trade", timeframe="1h", symbol="BTCUSDT", market="usdm"):
    key = SeriesKey(market, symbol, kind, timeframe)
    store_rows(candle_store(), key, [(Source("made", "0" * 64, len(rows)), rows)])
    return Series.objects.get(instrument__symbol=symbol, kind=kind, timeframe=timeframe, instrument__market=market)


def test_months_tell_how_many_candles_they_lack():
    rows = make_candles(24 * 90)  # to the end of March
    hold(rows.take(np.delete(np.arange(len(rows)), [*range(700, 703), *range(24 * 31, 24 * 59)])))
    [coverage] = catalogue()
    segments = Series.objects.get().segments.filter(is_current=True)
    [year] = tabulate_months(coverage, segments)
    assert [(cell.tone, cell.n_missing) for cell in year.months[:4]] == [
        ("holed", 3),
        ("none", 24 * 28),
        ("full", 0),
        ("outside", 0),
    ]


def test_the_chart_draws_each_candle_while_they_fit():
    series = hold(make_candles(100))
    answer = draw_series(series, View(JANUARY_MS, JANUARY_MS + 5 * DAY))
    candles, volume = answer["figure"]["data"]
    assert (len(candles["x"]), len(volume["y"])) == (100, 100)
    assert answer["title"] == "100 candles of 1h, each one drawn"


def test_merged_candles_have_the_extremes_of_all_of_theirs_over_two_files():
    rows = make_candles(60 * 24 * 40, "1m")
    series = hold(rows, timeframe="1m")
    answer = draw_series(series, View(JANUARY_MS, JANUARY_MS + 40 * DAY, 300))
    candles, volume = answer["figure"]["data"]
    assert len(candles["x"]) <= 101
    assert (candles["open"][0], candles["close"][-1]) == (rows.open[0], rows.close[-1])
    assert max(candles["high"]) == rows.high.max()
    assert min(candles["low"]) == rows.low.min()
    assert sum(volume["y"]) == rows.volume.sum()
    assert answer["title"].startswith("57,600 candles of 1m, drawn as ")


def test_the_chart_of_marks_has_no_volume_and_of_funding_its_rates(owner_client):
    marks, funding = hold(make_candles(100), kind="mark"), hold(make_funding(30), kind="funding", timeframe="")
    view = View(JANUARY_MS, JANUARY_MS + 20 * DAY)
    assert [trace["type"] for trace in draw_series(marks, view)["figure"]["data"]] == ["candlestick"]
    [rates] = draw_series(funding, view)["figure"]["data"]
    assert len(rates["y"]) == 30


def test_a_chart_is_asked_for_once(owner_client):
    series = hold(make_candles(100))
    url = reverse("data_chart", args=[series.pk])
    answer = owner_client.get(url, {"from": JANUARY_MS, "to": JANUARY_MS + DAY, "px": 900})
    assert json.loads(answer.content)["title"].startswith("24 candles")
    again = owner_client.get(
        url, {"from": JANUARY_MS, "to": JANUARY_MS + DAY, "px": 900}, headers={"If-None-Match": answer["ETag"]}
    )
    assert again.status_code == 304
    nonsense = owner_client.get(url, {"from": "x", "to": "nan", "px": "inf"})
    assert json.loads(nonsense.content)["title"].startswith("100 candles")


def test_rows_leave_as_csv_and_parquet(owner_client):
    series = hold(make_candles(100))
    url = reverse("data_rows", args=[series.pk])
    answer = owner_client.get(url, {"from": "2025-01-02", "to": "2025-01-03"})
    lines = answer.content.decode().splitlines()
    assert (len(lines), lines[0].split(",")[0].strip('"')) == (25, "open_ms")
    assert answer["Content-Disposition"] == 'attachment; filename="BTCUSDT-1h-20250102-to-20250103.csv"'
    answer = owner_client.get(url, {"from": "2025-01-02", "to": "2025-01-03", "format": "parquet"})
    assert pq.read_table(io.BytesIO(answer.content)).num_rows == 24
    for wrong in ({"from": "x", "to": "2025-01-03"}, {"from": "2025-01-03", "to": "2025-01-02"}, {"format": "exe"}):
        assert owner_client.get(url, {"from": "2025-01-02", "to": "2025-01-03", **wrong}).status_code == 302


def test_chart_and_rows_of_a_private_series_are_its_owners(owner, owner_client, stranger_client, anonymous):
    series = hold_private(owner, make_candles(48))
    span = {"from": "2025-01-01", "to": "2025-01-02"}
    for name in ("data_chart", "data_rows"):
        url = reverse(name, args=[series.pk])
        assert owner_client.get(url, span).status_code == 200
        assert stranger_client.get(url, span).status_code == 404
        assert anonymous.get(url, span).status_code == 302


def test_the_list_is_filtered(owner, owner_client):
    hold(make_candles(24))
    hold(make_candles(24), symbol="ETHUSDT")
    hold(make_candles(24), symbol="ETHUSDT", market="spot")
    hold(make_candles(24), kind="mark")
    hold_private(owner, make_candles(24), symbol="SOLUSDT_MY")

    def shown(**given):
        page = owner_client.get(reverse("data_catalogue"), given).content.decode()
        return page.split('id="data-rows"')[1].split("Instrument rules")[0].count('<th scope="row">')

    assert shown() == 5
    assert shown(market="spot") == 2
    assert shown(symbol="eth") == 2
    assert shown(kind="mark") == 1
    assert shown(origin="uploaded") == 1
    assert shown(timeframe="5m") == 0
    assert "No series fits" in owner_client.get("/data/?symbol=NOPE").content.decode()


def test_the_page_shows_quality_and_offers_rows(owner_client):
    series = hold(make_candles(24 * 31).take(np.delete(np.arange(744), [100, 101])))
    page = owner_client.get(reverse("data_series", args=[series.pk])).content.decode()
    assert "2 candles missing" in page
    assert 'class="num month-holed" title="2025-01: 2 missing"' in page
    assert reverse("data_chart", args=[series.pk]) in page
    assert 'value="2025-02-01"' in page
