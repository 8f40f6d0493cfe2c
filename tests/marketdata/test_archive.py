import datetime as dt
import email.utils
import threading
import time

import pytest

from marketdata.fetch.archive import Archive, ArchiveError, ArchiveMissing
from marketdata.fetch.transfer import read_retry_after
from marketdata.ingest.binance_archive import ArchiveFolder
from marketdata.ingest.errors import IngestError
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
    keys = [file.key for file in archive.list_files(FOLDER.prefix)]
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
    assert refuse(lambda: list(archive.list_files(""))) == "no_listing"


@pytest.mark.parametrize(
    "url", ["file:///etc", "ftp://example.org", "data.binance.vision", "http://", "data:text/plain,x"]
)
def test_an_address_that_is_not_http_is_refused(url):
    assert refuse(Archive, url) == "bad_url"


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://127.0.0.1:9/x", "gopher://a/"])
def test_a_redirect_to_elsewhere_is_refused(archive, loopback_archive, tmp_path, where):
    loopback_archive.faults[KEY] = [where] * 4
    assert refuse(archive.download, KEY, tmp_path) in ("redirected", "refused")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_redirect_on_the_same_host_is_followed_a_few_times(archive, loopback_archive, tmp_path):
    loopback_archive.faults[KEY] = [f"{loopback_archive.url}/{KEY}"] * 2
    assert archive.download(KEY, tmp_path).read_bytes() == DATA
    (tmp_path / KEY).unlink()
    loopback_archive.faults[KEY] = [f"{loopback_archive.url}/{KEY}"] * 20
    assert refuse(archive.download, KEY, tmp_path) == "refused"


def test_a_body_that_does_not_end_is_given_up(archive, loopback_archive, tmp_path, monkeypatch):
    monkeypatch.setattr("marketdata.fetch.archive.MAX_PACKED_BYTES", 2**20)
    loopback_archive.faults[KEY] = ["endless"]
    assert refuse(archive.download, KEY, tmp_path) == "too_large"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_page_instead_of_a_file_is_refused(archive, loopback_archive, tmp_path):
    loopback_archive.faults[KEY] = ["html"] * 2
    assert refuse(archive.download, KEY, tmp_path) == "wrong_checksum"
    loopback_archive.faults[f"{KEY}.CHECKSUM"] = ["html"]
    with pytest.raises(IngestError) as error:
        archive.download(KEY, tmp_path)
    assert error.value.code == "bad_checksum_file"


def test_a_transfer_stops_when_it_is_told_to(loopback_archive, tmp_path):
    loopback_archive.add(KEY, DATA)
    loopback_archive.faults[KEY] = [503] * 9
    stop = threading.Event()
    archive = Archive(loopback_archive.url, n_tries=9, backoff_s=30, stop=stop)
    threading.Timer(0.2, stop.set).start()
    started = time.monotonic()
    assert refuse(archive.download, KEY, tmp_path) == "stopped"
    assert time.monotonic() - started < 2


def test_a_server_that_drips_is_given_up(archive, loopback_archive, tmp_path, monkeypatch):
    monkeypatch.setattr("marketdata.fetch.transfer.MAX_BODY_S", 0.0)
    assert refuse(archive.download, KEY, tmp_path) == "too_slow"


def test_a_listing_says_how_large_files_are(archive, loopback_archive):
    sizes = {file.key: file.n_bytes for file in archive.list_files(FOLDER.prefix)}
    assert sizes[KEY] == len(DATA)


def test_a_listing_can_begin_behind_a_key(archive, loopback_archive):
    loopback_archive.add(FOLDER.key("2025-02"), b"x")
    after = FOLDER.key("2025-01").removesuffix("1.zip") + "2"
    assert next(archive.list_files(FOLDER.prefix, after)).key == FOLDER.key("2025-02")


@pytest.mark.parametrize(("text", "wait_s"), [(None, 0), ("2", 2), ("900", 30), ("-3", 0), ("nan", 0), ("soon", 0)])
def test_retry_after_is_a_bounded_number(text, wait_s):
    assert read_retry_after(text) == wait_s


def test_retry_after_may_be_a_date():
    in_five = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=5)
    assert 2 < read_retry_after(email.utils.format_datetime(in_five, usegmt=True)) <= 5
