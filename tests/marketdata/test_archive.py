import datetime as dt
import time

import pytest

from marketdata.fetch.archive import Archive, ArchiveError, ArchiveMissing
from marketdata.ingest.binance_archive import ArchiveFolder
from tests.marketdata.candle_makers import make_candles, to_csv, to_zip

FOLDER = ArchiveFolder("usdm", "trade", "BTCUSDT", "1m")
KEY = FOLDER.key("2025-01")
DATA = to_zip(to_csv(make_candles(50, "1m")), "BTCUSDT-1m-2025-01.csv")


@pytest.fixture
def archive(loopback_archive):
    loopback_archive.add(KEY, DATA)
    return Archive(loopback_archive.url, loopback_archive.url, timeout_s=2, n_tries=3, backoff_s=0.01)


def refuse(call, *args):
    with pytest.raises(ArchiveError) as error:
        call(*args)
    return error.value.code


@pytest.mark.parametrize(
    ("folder", "key"),
    [
        (FOLDER, "data/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2025-01.zip"),
        (
            ArchiveFolder("spot", "trade", "ETHUSDT", "1h"),
            "data/spot/monthly/klines/ETHUSDT/1h/ETHUSDT-1h-2025-01.zip",
        ),
        (
            ArchiveFolder("usdm", "mark", "BTCUSDT", "8h"),
            "data/futures/um/monthly/markPriceKlines/BTCUSDT/8h/BTCUSDT-8h-2025-01.zip",
        ),
        (
            ArchiveFolder("usdm", "funding", "BTCUSDT", ""),
            "data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2025-01.zip",
        ),
    ],
)
def test_keys_are_the_exchanges_own(folder, key):
    assert folder.key("2025-01") == key


def test_a_daily_key_lies_in_the_daily_folder():
    key = ArchiveFolder("usdm", "trade", "BTCUSDT", "1m", is_monthly=False).key("2025-01-31")
    assert key == "data/futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-01-31.zip"


def test_a_listing_is_read_page_by_page(archive, loopback_archive):
    for month in range(2, 10):
        loopback_archive.add(FOLDER.key(f"2025-{month:02}"), b"x")
    loopback_archive.add("data/spot/other.zip", b"x")
    keys = list(archive.list_keys(FOLDER.prefix))
    assert len(keys) == 18
    assert keys == sorted(key for key in loopback_archive.files if key.startswith(FOLDER.prefix))


def test_the_newest_month_is_the_last_one_with_a_zip(archive, loopback_archive):
    loopback_archive.add(FOLDER.key("2024-11"), b"x")
    loopback_archive.files[f"{FOLDER.key('2025-02')}.CHECKSUM"] = b"x"  # announced, not there
    loopback_archive.add(f"{FOLDER.prefix}BTCUSDT-1m-2025-03-01.zip", b"x")  # a day
    assert archive.newest_month(FOLDER, dt.date(2025, 6, 1)) == "2025-01"


@pytest.mark.parametrize("has_listing", [True, False])
def test_a_mirror_without_a_listing_is_asked_month_by_month(loopback_archive, has_listing):
    loopback_archive.add(KEY, DATA)
    loopback_archive.lists = False
    archive = Archive(loopback_archive.url, loopback_archive.url if has_listing else "", n_tries=1)
    assert archive.newest_month(FOLDER, dt.date(2025, 3, 15)) == "2025-01"
    assert archive.newest_month(FOLDER, dt.date(2025, 9, 1)) is None


def test_a_download_is_the_file_with_its_checksum_beside_it(archive, tmp_path):
    path = archive.download(KEY, tmp_path)
    assert path == tmp_path / KEY
    assert path.read_bytes() == DATA
    assert path.with_name(f"{path.name}.CHECKSUM").is_file()


def test_a_file_that_is_there_already_is_not_fetched_again(archive, loopback_archive, tmp_path):
    archive.download(KEY, tmp_path)
    archive.download(KEY, tmp_path)
    assert loopback_archive.requests[KEY] == 1
    (tmp_path / KEY).write_bytes(b"half")
    archive.download(KEY, tmp_path)
    assert (tmp_path / KEY).read_bytes() == DATA


@pytest.mark.parametrize("faults", [[503], [500, 502], [429], ["short"], ["garble"]])
def test_what_passes_is_tried_again(archive, loopback_archive, tmp_path, faults):
    loopback_archive.faults[KEY] = list(faults)
    assert archive.download(KEY, tmp_path).read_bytes() == DATA


def test_what_does_not_pass_is_said_after_the_last_try(archive, loopback_archive, tmp_path):
    loopback_archive.faults[KEY] = [503] * 3
    assert refuse(archive.download, KEY, tmp_path) == "no_answer"
    loopback_archive.faults[KEY] = ["garble"] * 2
    assert refuse(archive.download, KEY, tmp_path) == "wrong_checksum"
    loopback_archive.faults[KEY] = ["short"] * 3
    assert refuse(archive.download, KEY, tmp_path) == "no_answer"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("status", [403, 404])
def test_a_file_that_is_not_there_is_not_asked_for_twice(archive, loopback_archive, tmp_path, status):
    loopback_archive.faults[KEY] = [status]
    with pytest.raises(ArchiveMissing):
        archive.download(KEY, tmp_path)
    assert loopback_archive.requests[KEY] == 1


def test_another_refusal_is_not_tried_again(archive, loopback_archive, tmp_path):
    loopback_archive.faults[KEY] = [401]
    assert refuse(archive.download, KEY, tmp_path) == "refused"


def test_retry_after_is_respected(archive, loopback_archive, tmp_path):
    loopback_archive.faults[KEY] = [429]
    loopback_archive.retry_after = "0.4"
    started = time.monotonic()
    archive.download(KEY, tmp_path)
    assert time.monotonic() - started >= 0.4


def test_a_server_that_stalls_is_given_up(loopback_archive, tmp_path):
    loopback_archive.add(KEY, DATA)
    loopback_archive.faults[KEY] = ["stall"]
    archive = Archive(loopback_archive.url, timeout_s=0.2, n_tries=1)
    assert refuse(archive.download, KEY, tmp_path) == "no_answer"


def test_a_deadline_bounds_everything(loopback_archive, tmp_path):
    loopback_archive.add(KEY, DATA)
    loopback_archive.faults[KEY] = [503] * 50
    archive = Archive(loopback_archive.url, n_tries=50, backoff_s=0.05, deadline_s=0.5)
    started = time.monotonic()
    assert refuse(archive.download, KEY, tmp_path) in ("too_slow", "no_answer")
    assert time.monotonic() - started < 2


def test_a_body_beyond_the_limit_is_not_read(archive, loopback_archive, tmp_path):
    loopback_archive.files[f"{KEY}.CHECKSUM"] = b"x" * 10_000
    assert refuse(archive.fetch_checksum, KEY) == "too_large"


@pytest.mark.parametrize("body", [b"not xml", b"<html></html>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'])
def test_an_answer_that_is_no_listing_is_refused(archive, loopback_archive, monkeypatch, body):
    monkeypatch.setattr(loopback_archive, "listing", lambda query: body)
    assert refuse(lambda: list(archive.list_keys(""))) == "no_listing"


@pytest.mark.parametrize("url", ["file:///etc", "ftp://example.org", "data.binance.vision"])
def test_an_address_that_is_not_http_is_refused(url):
    assert refuse(Archive, url) == "bad_url"
