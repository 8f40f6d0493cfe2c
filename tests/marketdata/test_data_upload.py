"""The pages of a user's own candles."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from marketdata.models import Series, Upload
from marketdata.samples import make_sample
from marketdata.uploads.tasks import take_upload
from tests.marketdata.candle_makers import make_candles, to_csv
from tests.marketdata.private_candles import hold_private

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]


@pytest.fixture(autouse=True)
def queue(monkeypatch):
    sent = []
    monkeypatch.setattr("marketdata.uploads.service.async_task", lambda task, *args, **kwargs: sent.append(args))
    return sent


def post(client, data=None, **given):
    file = SimpleUploadedFile("mine.csv", data or to_csv(make_candles(48)).encode())
    return client.post(reverse("data_upload"), {"market": "spot", "symbol": "BTCUSDT", "file": file, **given})


def test_an_upload_is_followed_to_its_series(owner_client, queue):
    answer = post(owner_client)
    upload = Upload.objects.get()
    url = reverse("data_upload_status", args=[upload.pk])
    assert (answer.status_code, answer["Location"]) == (302, url)
    waiting = owner_client.get(url).content.decode()
    assert "Waiting for a free worker" in waiting
    assert 'hx-trigger="every 1s"' in waiting
    take_upload(str(upload.pk))
    done = owner_client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert "48 rows taken in" in done
    assert "hx-trigger" not in done
    assert "<html" not in done
    assert reverse("data_series", args=[Series.objects.get().pk]) in done


def test_the_page_sends_a_message_that_was_never_sent(owner_client, queue):
    post(owner_client)
    queue.clear()
    Upload.objects.update(dispatched_at=None)
    upload = Upload.objects.get()
    owner_client.get(reverse("data_upload_status", args=[upload.pk]))
    owner_client.get(reverse("data_upload_status", args=[upload.pk]))
    assert queue == [(str(upload.pk),)]


def test_a_refused_file_says_why(owner_client):
    post(owner_client, b"time,open\n1,2\n")
    upload = Upload.objects.get()
    take_upload(str(upload.pk))
    page = owner_client.get(reverse("data_upload_status", args=[upload.pk])).content.decode()
    assert "has no column for high" in page
    assert "Try another file" in page


@pytest.mark.parametrize(
    ("given", "says"),
    [({"symbol": "a/b"}, "2 to 16 letters"), ({"market": "x"}, "The market is"), ({"file": ""}, "Choose a file.")],
)
def test_a_refusal_stands_at_its_field_and_keeps_what_was_typed(owner_client, given, says):
    answer = post(owner_client, **given)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert says in page
    assert f'value="{given.get("symbol", "BTCUSDT")}"' in page


def test_a_file_above_the_sites_limit_is_never_kept(owner_client, monkeypatch, hindsight_home):
    monkeypatch.setattr("marketdata.uploads.handler.MAX_TEXT_BYTES", 1000)
    monkeypatch.setattr("marketdata.uploads.handler.FORM_BYTES", 0)
    answer = post(owner_client)
    assert answer.status_code == 422
    assert "A file may have" in answer.content.decode()
    assert not (hindsight_home / "uploads").exists()


def test_a_body_beyond_all_measure_is_not_read(owner_client, monkeypatch):
    monkeypatch.setattr("marketdata.uploads.handler.MAX_DRAINED_BYTES", 1000)
    assert post(owner_client).status_code in (400, 413)


def test_uploads_are_their_owners(owner_client, stranger_client, staff_client, anonymous):
    post(owner_client)
    url = reverse("data_upload_status", args=[Upload.objects.get().pk])
    for client in (stranger_client, staff_client):
        assert client.get(url).status_code == 404
        assert "mine.csv" not in client.get("/data/").content.decode()
    assert anonymous.get(url).status_code == 302
    assert post(anonymous).status_code == 302


def test_only_the_owner_renames_and_deletes(owner, owner_client, stranger_client, staff_client):
    series = hold_private(owner, make_candles(48))
    rename, delete = (reverse(name, args=[series.pk]) for name in ("data_rename", "data_delete"))
    for client in (stranger_client, staff_client):
        assert client.get(rename).status_code == 404
        assert client.post(rename, {"symbol": "HACK"}).status_code == 404
        assert client.post(delete).status_code == 404
    assert owner_client.get(rename).status_code == 200
    assert owner_client.post(rename, {"symbol": "?"}).status_code == 422
    assert owner_client.post(rename, {"symbol": "ETHBTC"}).status_code == 302
    assert "ETHBTC_MY" in owner_client.get("/data/").content.decode()
    assert owner_client.get(delete).status_code == 405
    assert owner_client.post(delete).status_code == 302
    assert not Series.objects.exists()
    assert "is deleted" in owner_client.get("/data/").content.decode()


def test_a_series_of_everyone_has_no_such_pages(staff_client):
    make_sample()
    series = Series.objects.get(kind="trade")
    for name in ("data_rename", "data_delete"):
        assert staff_client.post(reverse(name, args=[series.pk]), {"symbol": "X"}).status_code == 404
