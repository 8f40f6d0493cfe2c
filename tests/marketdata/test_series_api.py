"""Series in full, and a user's own candles, over the API."""

from dataclasses import replace

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from marketdata.home import candle_store
from marketdata.models import Series
from marketdata.segments import SeriesKey, Source, store_rows
from marketdata.uploads.tasks import take_upload
from tests.marketdata.candle_makers import make_candles, to_csv
from tests.marketdata.private_candles import hold_private

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]

SERIES, UPLOADS = "/api/v1/data/series/", "/api/v1/data/uploads/"


@pytest.fixture(autouse=True)
def queue(monkeypatch):
    monkeypatch.setattr("marketdata.uploads.service.async_task", lambda *args, **kwargs: None)


def hold(rows, name="BTCUSDT-1h-2025-01.zip", symbol="BTCUSDT"):
    store_rows(candle_store(), SeriesKey("usdm", symbol, "trade", "1h"), [(Source(name, "a" * 64, len(rows)), rows)])


def post(client, text=None, **given):
    file = SimpleUploadedFile("mine.csv", (text or to_csv(make_candles(48))).encode())
    return client.post(UPLOADS, {"market": "spot", "symbol": "BTCUSDT", "file": file, **given})


def test_a_series_tells_its_gaps_files_revisions_and_sources(owner_client):
    candles = make_candles(24 * 31)
    hold(candles.take(np.delete(np.arange(744), [100, 101])))
    hold(replace(candles, close=candles.close + 0.25).take(slice(0, 5)), "BTCUSDT-1h-2025-01-01.zip")
    [listed] = owner_client.get(SERIES).json()
    assert (listed["symbol"], listed["n_rows"], listed["n_gaps"], listed["n_missing"]) == ("BTCUSDT", 742, 1, 2)
    told = owner_client.get(f"{SERIES}{listed['id']}/").json()
    hour = 3_600_000
    assert told["gaps"] == [[candles.open_ms[0] + 100 * hour, candles.open_ms[0] + 102 * hour]]
    assert [(row["revision"], row["is_current"]) for row in told["segments"]] == [(1, False), (2, True)]
    assert {source["name"] for source in told["segments"][1]["sources"]} == {
        "BTCUSDT-1h-2025-01.zip",
        "BTCUSDT-1h-2025-01-01.zip",
    }
    assert told["segments"][1]["quality"]["n_rows"] == 742


def test_the_list_is_filtered_and_nonsense_refused(owner_client):
    hold(make_candles(24))
    hold(make_candles(24), symbol="ETHUSDT")
    assert [row["symbol"] for row in owner_client.get(SERIES, {"symbol": "eth"}).json()] == ["ETHUSDT"]
    assert owner_client.get(SERIES, {"origin": "uploaded"}).json() == []
    answer = owner_client.get(SERIES, {"market": "moon"})
    assert (answer.status_code, answer.json()["field"]) == (400, "market")


def test_private_series_are_their_owners(owner, owner_client, stranger_client, staff_client, anonymous):
    series = hold_private(owner, make_candles(48))
    url = f"{SERIES}{series.pk}/"
    assert owner_client.get(url).json()["is_private"]
    for client in (stranger_client, staff_client):
        assert client.get(SERIES).json() == []
        assert client.get(url).status_code == 404
        assert client.patch(url, {"symbol": "X1"}, content_type="application/json").status_code == 404
        assert client.delete(url).status_code == 404
    assert anonymous.get(url).status_code == 401
    assert owner_client.patch(url, {"symbol": "?"}, content_type="application/json").json()["code"] == "bad_symbol"
    renamed = owner_client.patch(url, {"symbol": "ETHBTC"}, content_type="application/json").json()
    assert renamed["symbol"] == "ETHBTC_MY"
    assert owner_client.delete(url).status_code == 204
    assert not Series.objects.exists()


def test_a_series_of_everyone_is_only_read(staff_client):
    hold(make_candles(24))
    url = f"{SERIES}{Series.objects.get().pk}/"
    assert staff_client.get(url).status_code == 200
    assert staff_client.patch(url, {"symbol": "X1"}, content_type="application/json").status_code == 404
    assert staff_client.delete(url).status_code == 404


def test_an_upload_is_followed_to_its_series(owner_client, stranger_client):
    answer = post(owner_client)
    assert answer.status_code == 202
    told = answer.json()
    assert (told["status"], told["symbol"], told["series"]) == ("queued", "BTCUSDT_MY", None)
    assert answer["Location"].endswith(f"{UPLOADS}{told['id']}/")
    assert stranger_client.get(answer["Location"]).status_code == 404
    take_upload(told["id"])
    told = owner_client.get(answer["Location"]).json()
    assert (told["status"], told["timeframe"], told["n_rows"], told["failure"]) == ("succeeded", "1h", 48, "")
    assert told["series"] == Series.objects.get().pk
    assert told["log"][0] == "48 rows"
    assert [row["id"] for row in owner_client.get(UPLOADS).json()] == [told["id"]]
    assert stranger_client.get(UPLOADS).json() == []


def test_page_and_api_refuse_alike(owner_client, monkeypatch):
    assert post(owner_client, symbol="a/b").json()["code"] == "bad_symbol"
    assert owner_client.post(UPLOADS, {"market": "spot", "symbol": "BTC"}).json()["field"] == "file"
    assert owner_client.post(UPLOADS, {"symbol": "x"}, content_type="application/json").status_code == 415
    monkeypatch.setattr("marketdata.uploads.handler.MAX_TEXT_BYTES", 1000)
    monkeypatch.setattr("marketdata.uploads.handler.FORM_BYTES", 0)
    assert post(owner_client).json()["code"] == "too_large"


def test_a_refused_file_says_why(owner_client):
    told = post(owner_client, "time,open\n1,2\n").json()
    take_upload(told["id"])
    told = owner_client.get(f"{UPLOADS}{told['id']}/").json()
    assert (told["status"], told["failure_code"]) == ("failed", "no_column")
