"""What a user hands over becomes a private series, whole, or is refused with a reason and changes nothing."""

import gzip
import io
import os
from dataclasses import replace

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from marketdata.coverage import catalogue
from marketdata.errors import UploadRefused
from marketdata.instruments import load_instruments
from marketdata.models import Instrument, Segment, Series, Upload
from marketdata.uploads.folder import name_by_content
from marketdata.uploads.private_instruments import name_symbol
from marketdata.uploads.service import delete_series, keep_uploads, rename_symbol, request_upload
from marketdata.uploads.tasks import take_upload
from tests.marketdata.candle_makers import make_candles, to_csv, to_zip

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home", "queue")]

GIVEN = {"market": "spot", "symbol": "btcusdt"}


@pytest.fixture
def queue(monkeypatch):
    sent = []
    monkeypatch.setattr(
        "marketdata.uploads.service.async_task", lambda task, *args, **kwargs: sent.append((task, args))
    )
    return sent


def csv_file(candles=None, name="mine.csv", **kwargs):
    return SimpleUploadedFile(
        name, to_csv(candles if candles is not None else make_candles(24 * 40), **kwargs).encode()
    )


def upload(user, file=None, **given):
    row = request_upload(user, {**GIVEN, **given}, file or csv_file())
    take_upload(str(row.pk))
    row.refresh_from_db()
    return row


def refuse(user, file=None, **given):
    with pytest.raises(UploadRefused) as error:
        request_upload(user, {**GIVEN, **given}, file or csv_file())
    return error.value.field, error.value.code


def test_a_csv_becomes_a_private_series(owner, hindsight_home):
    row = upload(owner)
    assert (row.status, row.failure, row.timeframe, row.n_rows) == ("succeeded", "", "1h", 960)
    [coverage] = catalogue(Series.objects.visible_to(owner))
    assert (coverage.symbol, coverage.origin, coverage.owner_id) == ("BTCUSDT_MY", "uploaded", owner.pk)
    assert (coverage.n_rows, coverage.gaps, coverage.n_segments) == (960, (), 2)
    assert catalogue() == []
    assert not any((hindsight_home / "uploads").iterdir())


def test_the_message_leaves_with_the_row_and_carries_its_id(owner, queue, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        row = request_upload(owner, GIVEN, csv_file())
    assert queue == [("marketdata.uploads.tasks.take_upload", (str(row.pk),))]
    row.refresh_from_db()
    assert row.dispatched_at


def test_a_second_message_finds_nothing_to_do(owner):
    row = upload(owner)
    take_upload(str(row.pk))
    assert Segment.objects.count() == 2


@pytest.mark.parametrize("kind", ["zip", "gz", "lying name"])
def test_a_file_is_what_its_bytes_say(owner, kind):
    text = to_csv(make_candles(48))
    data = {
        "zip": to_zip(text, "BTCUSDT-1h-2025-01.csv"),
        "gz": gzip.compress(text.encode()),
        "lying name": text.encode(),
    }[kind]
    name = "BTCUSDT-1h-2025-01.zip" if kind != "gz" else "mine.txt"
    row = upload(owner, SimpleUploadedFile(name, data))
    assert (row.status, row.n_rows) == ("succeeded", 48), row.failure


def test_names_of_files_are_made_plain():
    assert name_by_content("../../etc/passwd", b"time") == "passwd.csv"
    assert name_by_content("C:\\a b\\my candles.CSV.gz", b"\x1f\x8b\x08") == "my_candles.csv.gz"
    assert name_by_content("...", b"PK\x03\x04") == "candles.zip"
    assert len(name_by_content("x" * 300 + ".csv", b"")) < 100


def test_a_header_of_other_columns_with_iso_times_is_read(owner):
    lines = ["Date,Close,Open,High,Low,Volume"]
    lines += [f"2025-01-01 {hour:02}:00:00,{100 + hour},100,{130 + hour},90,5" for hour in range(24)]
    row = upload(owner, SimpleUploadedFile("kraken.csv", "\n".join(lines).encode()))
    assert (row.status, row.timeframe, row.n_rows) == ("succeeded", "1h", 24)


def test_a_refused_file_says_the_line_and_leaves_nothing(owner, hindsight_home):
    lines = to_csv(make_candles(48)).splitlines()
    lines[10] = lines[10].replace(",", ",oops", 1)
    row = upload(owner, SimpleUploadedFile("bad.csv", "\n".join(lines).encode()))
    assert (row.status, row.failure_code) == ("failed", "not_a_number")
    assert "bad.csv, line 11" in row.failure
    assert not Instrument.objects.exists()
    assert not any((hindsight_home / "uploads").iterdir())


def test_impossible_prices_are_refused(owner):
    candles = make_candles(48)
    row = upload(owner, csv_file(replace(candles, high=candles.low - 1), name="impossible.csv"))
    assert row.status == "failed"
    assert "impossible.csv, line 2: " in row.failure
    assert not Series.objects.exists()


def test_a_bomb_is_refused_unread(owner):
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb") as file:
        file.write(b"0" * 50_000_000)
    row = upload(owner, SimpleUploadedFile("bomb.csv.gz", bomb.getvalue()))
    assert (row.status, row.failure_code) == ("failed", "zip_bomb")


def test_gaps_are_flagged_and_told(owner):
    row = upload(owner, csv_file(make_candles(100).take(np.delete(np.arange(100), [40, 41]))))
    assert row.status == "succeeded"
    assert "1 gaps" in row.log
    assert len(row.report["gaps"]) == 1


def test_another_file_for_the_same_symbol_extends_the_series(owner):
    candles = make_candles(24 * 40)
    upload(owner, csv_file(candles.take(slice(0, 500))))
    row = upload(owner, csv_file(candles.take(slice(400, None)), name="more.csv"), symbol="BTCUSDT_MY")
    assert "2025-01: revised, 744 rows, revision 2" in row.log
    [coverage] = catalogue(Series.objects.visible_to(owner))
    assert (coverage.n_rows, coverage.gaps) == (960, ())


def test_rules_are_plain_and_say_so_or_copied_and_say_from_whom(owner):
    load_instruments()
    plain = Instrument.objects.get(pk=upload(owner).series.instrument_id)
    filters = plain.filter_sets.get()
    assert (filters.tick_size, filters.step_size, filters.source[:5]) == (1.0, 1.0, "Plain")
    copied = upload(owner, symbol="COPY", rules="ethusdt", market="usdm").series.instrument
    template = Instrument.objects.get(market="usdm", symbol="ETHUSDT")
    assert copied.filter_sets.first().tick_size == template.filter_sets.first().tick_size
    assert copied.filter_sets.first().source.startswith("Copied from ETHUSDT: ")
    assert copied.margin_tier_sets.first().tiers == template.margin_tier_sets.first().tiers
    futures = upload(owner, symbol="PLAIN", market="usdm").series.instrument
    assert futures.margin_tier_sets.get().source.startswith("Plain defaults")


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"market": "moon"}, ("market", "unknown_choice")),
        ({"symbol": ""}, ("symbol", "missing")),
        ({"symbol": "BTC/USDT"}, ("symbol", "bad_symbol")),
        ({"symbol": "BTC-USDT-1h"}, ("symbol", "bad_symbol")),
        ({"symbol": "A_B_C"}, ("symbol", "bad_symbol")),
        ({"timeframe": "7m"}, ("timeframe", "unknown_timeframe")),
        ({"rules": "NOPE"}, ("rules", "unknown_rules")),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(owner, given, refusal):
    assert refuse(owner, **given) == refusal
    assert not Upload.objects.exists()


def test_nobody_can_name_a_series_like_the_exchanges():
    assert name_symbol(" ethusdt_kraken ") == "ETHUSDT_KRAKEN_MY"
    assert name_symbol("BTCUSDT_MY") == "BTCUSDT_MY"


def test_a_file_of_another_timeframe_is_refused(owner):
    row = upload(owner, timeframe="5m")
    assert row.status == "failed"
    assert "60 minutes apart" in row.failure


def test_a_file_above_the_users_limit_is_refused_before_it_is_kept(owner, hindsight_home):
    owner.limit_overrides = {"max_upload_mb": 1}
    big = SimpleUploadedFile("big.csv", b"x" * (2**20 + 1))
    assert refuse(owner, big) == ("file", "too_large")
    assert refuse(owner, SimpleUploadedFile("none.csv", b"")) == ("file", "empty")
    assert not (hindsight_home / "uploads").exists()


def test_the_number_of_series_is_limited(owner):
    owner.limit_overrides = {"max_private_series": 1}
    owner.save()
    upload(owner)
    assert refuse(owner, symbol="ANOTHER") == ("", "too_many_series")
    assert upload(owner).status == "succeeded"  # the same one again
    assert upload(owner, csv_file(make_candles(48, "5m"))).failure_code == "too_many_series"
    assert Series.objects.count() == 1


def test_what_would_overfill_the_quota_is_not_taken(owner):
    owner.limit_overrides = {"max_private_mb": 1}
    owner.save()
    random = np.random.default_rng(1)
    candles = make_candles(21_000, "1m")
    noisy = replace(candles, volume=random.random(21_000), quote_volume=random.random(21_000))
    noisy = replace(noisy, taker_buy_volume=random.random(21_000), high=noisy.high + random.random(21_000))
    row = upload(owner, csv_file(replace(noisy, low=noisy.low - random.random(21_000)), name="noise.csv"))
    first = row.status
    row = upload(owner, csv_file(replace(noisy, high=noisy.high + 1), name="noise.csv"), symbol="MORE")
    row = upload(owner, csv_file(replace(noisy, high=noisy.high + 2), name="noise.csv"), symbol="EVENMORE")
    assert (first, row.status, row.failure_code) == ("succeeded", "failed", "no_room")
    assert not Instrument.objects.filter(symbol="EVENMORE_MY").exists()


def test_only_a_few_files_may_wait(owner):
    for i in range(5):
        request_upload(owner, {**GIVEN, "symbol": f"S{i}"}, csv_file(make_candles(24)))
    assert refuse(owner) == ("", "too_many_uploads")


def test_an_upload_whose_worker_is_gone_has_failed(owner):
    row = request_upload(owner, GIVEN, csv_file())
    claimed = Upload.objects.claim(row.pk)
    assert Upload.objects.end_lost() == 0
    Upload.objects.filter(pk=row.pk).update(started_at="2020-01-01T00:00Z")
    assert Upload.objects.end_lost() == 1
    assert not claimed.succeed()
    row.refresh_from_db()
    assert (row.status, row.failure_code) == ("failed", "lost")


def test_files_that_a_killed_process_left_are_swept_others_not(owner, hindsight_home):
    waiting = request_upload(owner, GIVEN, csv_file())
    left = hindsight_home / "uploads" / "left"
    left.mkdir()
    for folder in (left, hindsight_home / "uploads" / str(waiting.pk)):
        os.utime(folder, (0, 0))
    (hindsight_home / "uploads" / "fresh").mkdir()
    assert keep_uploads() == 1
    assert {path.name for path in (hindsight_home / "uploads").iterdir()} == {str(waiting.pk), "fresh"}


def test_renaming_takes_all_series_of_the_symbol_along(owner):
    series = upload(owner).series
    upload(owner, csv_file(make_candles(48, "5m")))
    rename_symbol(series, "eth")
    assert {row.instrument.symbol for row in Series.objects.all()} == {"ETH_MY"}
    other = upload(owner).series
    with pytest.raises(UploadRefused, match="another ETH_MY"):
        rename_symbol(other, "ETH")


def test_the_last_series_takes_its_instrument_along(owner, hindsight_home):
    series = upload(owner).series
    other = upload(owner, csv_file(make_candles(48, "5m"))).series
    delete_series(series)
    assert Instrument.objects.exists()
    delete_series(other)
    assert not Instrument.objects.exists()
    assert list((hindsight_home / "candles").rglob("*.parquet"))  # runs may have pinned them


def test_a_series_of_everyone_cannot_be_renamed_or_deleted(owner):
    instrument = Instrument.objects.create(market="spot", symbol="BTCUSDT", base_asset="BTC", quote_asset="USDT")
    series = Series.objects.create(instrument=instrument, timeframe="1h")
    rename_symbol(series, "MINE")
    with pytest.raises(Instrument.DoesNotExist):
        delete_series(series)
    assert Series.objects.get().instrument.symbol == "BTCUSDT"
