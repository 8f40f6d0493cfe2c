"""Candle files in a bucket: against a real server, and against one that breaks."""

import hashlib
import logging
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import obstore
import pytest

from marketdata.home import candle_store
from marketdata.imports import import_paths
from marketdata.models import Segment
from marketdata.segments import ref_of
from marketdata.store import (
    CachedFiles,
    CandleStore,
    HostCache,
    SegmentDamaged,
    SegmentMissing,
    StoreError,
    StoreFull,
    StoreRefused,
    StoreUnreachable,
)
from marketdata.store.s3_files import S3Files, S3Options
from tests.marketdata.broken_s3 import DATA, NAME, BrokenS3
from tests.marketdata.candle_makers import JANUARY_MS, make_candles, write_daily

ROOT = Path(__file__).resolve().parents[2]
KEY = f"{NAME[:2]}/{NAME}.parquet"


def store_of(options, folder, max_bytes=10**9):
    cache = HostCache(folder / "cache", max_bytes)
    return CandleStore(folder, CachedFiles(S3Files(options), cache), cache)


def overwrite(files, key, data):
    obstore.put(files._store, key, data)


def kept_segments(folder):
    return sorted((folder / "cache").rglob("*.parquet"))


def test_what_is_published_in_a_bucket_is_read_on_another_host(s3_options, tmp_path):
    ref = store_of(s3_options, tmp_path / "one").publish(make_candles(500))
    other = store_of(s3_options, tmp_path / "other")
    assert other.read_candles([ref]).has_same_rows(make_candles(500))
    other.verify(ref)
    assert other.n_bytes(ref) == kept_segments(tmp_path / "other")[0].stat().st_size


def test_a_file_is_written_once_and_found_in_the_listing(s3_options):
    files = S3Files(s3_options)
    before = time.time()
    files.put(NAME, DATA)
    files.put(NAME, DATA)
    [found] = files.list_files()
    assert (found.name, found.n_bytes) == (NAME, len(DATA))
    assert before - 5 < found.written_s < time.time() + 5
    files.delete(NAME)
    files.delete(NAME)
    assert not list(files.list_files())


def test_a_listing_goes_on_past_its_first_page(s3_options):
    files = S3Files(s3_options)
    names = {hashlib.sha256(str(i).encode()).hexdigest(): str(i).encode() for i in range(1_050)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(files.put, names, names.values()))
    assert {found.name for found in files.list_files()} == set(names)


def test_writers_of_the_same_file_do_not_hinder_each_other(s3_options):
    files = S3Files(s3_options)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: files.put(NAME, DATA), range(32)))
    assert files.get(NAME) == DATA


def test_a_put_never_replaces_right_bytes_and_heals_wrong_ones(s3_options):
    files = S3Files(s3_options)
    files.put(NAME, DATA)
    tag = obstore.head(files._store, KEY)["last_modified"]
    files.put(NAME, DATA)
    assert obstore.head(files._store, KEY)["last_modified"] == tag
    overwrite(files, KEY, b"something else")
    files.put(NAME, DATA)
    assert files.get(NAME) == DATA


def test_a_missing_file_is_missing(s3_options):
    for call in (S3Files(s3_options).get, S3Files(s3_options).n_bytes):
        with pytest.raises(SegmentMissing, match="is not in s3://hindsight/candles"):
            call(NAME)


def test_wrong_bytes_in_the_bucket_are_never_read_nor_kept(s3_options, tmp_path):
    store = store_of(s3_options, tmp_path)
    ref = store.publish(make_candles())
    overwrite(S3Files(s3_options), f"{ref.sha256[:2]}/{ref.sha256}.parquet", b"x" * store.n_bytes(ref))
    with pytest.raises(SegmentDamaged):
        store.verify(ref)  # though what this host keeps is whole
    assert store.read_candles([ref]).has_same_rows(make_candles())
    elsewhere = store_of(s3_options, tmp_path / "elsewhere")
    with pytest.raises(SegmentDamaged):
        elsewhere.read_candles([ref])
    assert not kept_segments(tmp_path / "elsewhere")
    store.publish(make_candles())
    assert elsewhere.read_candles([ref]).has_same_rows(make_candles())


def test_what_a_host_keeps_is_checked_and_fetched_again_if_it_is_damaged(s3_options, tmp_path):
    store = store_of(s3_options, tmp_path)
    ref = store.publish(make_candles())
    [kept] = kept_segments(tmp_path)
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1] + b"x")
    assert store.files.get(ref.sha256) == whole
    assert kept.read_bytes() == whole


def test_what_is_kept_is_read_without_the_store(s3_options, tmp_path):
    ref = store_of(s3_options, tmp_path).publish(make_candles())
    offline = store_of(replace(s3_options, endpoint="http://127.0.0.1:1", timeout_s=1), tmp_path)
    assert offline.read_candles([ref]).has_same_rows(make_candles())
    with pytest.raises(StoreUnreachable):
        offline.verify(ref)


def test_a_host_keeps_no_more_than_it_may(s3_options, tmp_path):
    store = store_of(s3_options, tmp_path, max_bytes=150_000)
    refs = [store.publish(make_candles(500, first_ms=JANUARY_MS + i * 500 * 3_600_000)) for i in range(12)]
    assert len(store.read_candles(refs)) == 6_000
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.*") if path.is_file()) <= 150_000


@pytest.mark.parametrize("call", [lambda files: files.get(NAME), lambda files: files.put(NAME, DATA), S3Files.probe])
def test_wrong_keys_are_refused_in_words_that_show_no_key(s3_options, call):
    with pytest.raises(StoreRefused, match="refuses the keys") as caught:
        call(S3Files(replace(s3_options, secret_access_key="wrong-but-secret")))
    assert "wrong-but-secret" not in str(caught.value) + repr(s3_options)
    assert caught.value.__cause__ is None


def test_a_bucket_that_is_not_there_is_no_missing_file(s3_options):
    with pytest.raises(StoreRefused, match="there is no bucket nowhere"):
        S3Files(replace(s3_options, bucket="nowhere")).get(NAME)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("stall", StoreUnreachable),
        ("stall in body", StoreUnreachable),
        ("cut", StoreUnreachable),
        ("500 InternalError", StoreUnreachable),
        ("503 SlowDown", StoreUnreachable),
        ("403 AccessDenied", StoreRefused),
        ("404 NoSuchBucket", StoreRefused),
        ("404 NoSuchKey", SegmentMissing),
        ("507 InsufficientStorage", StoreFull),
    ],
)
def test_every_way_to_fail_is_told_in_time(mode, kind, monkeypatch, caplog):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    caplog.set_level(logging.DEBUG)
    with BrokenS3(mode) as server:
        options = S3Options("bucket", "", server.url, access_key_id="a", secret_access_key="a secret", timeout_s=1)
        started = time.monotonic()
        with pytest.raises(kind, match="could not be read"):
            S3Files(options).get(NAME)
        assert time.monotonic() - started < 6
    assert "a secret" not in caplog.text


@pytest.mark.parametrize("mode", ["stall", "503 SlowDown", "507 InsufficientStorage"])
def test_a_write_that_fails_says_so(mode, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with BrokenS3(mode) as server, pytest.raises(StoreError, match="could not be written"):
        S3Files(S3Options("bucket", "", server.url, access_key_id="a", secret_access_key="b", timeout_s=1)).put(
            NAME, DATA
        )


def test_bytes_that_changed_on_the_way_are_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    ref = replace(CandleStore(tmp_path).publish(make_candles()), sha256=NAME)
    with BrokenS3("garble") as server:
        store = store_of(S3Options("bucket", "", server.url, access_key_id="a", secret_access_key="b"), tmp_path)
        with pytest.raises(SegmentDamaged):
            store.read_candles([ref])


FORK = """
import os, signal, sys
from marketdata.store import StoreUnreachable
from marketdata.store.s3_files import S3Files, S3Options

keys = {"access_key_id": sys.argv[3], "secret_access_key": sys.argv[4]}
files = S3Files(S3Options("hindsight", sys.argv[1], sys.argv[2], **keys))
if sys.argv[5] == "used":
    files.probe()
if (pid := os.fork()) == 0:
    signal.alarm(20)
    try:
        os._exit(len(files.get(sys.argv[6])) != 15_000)
    except StoreUnreachable:
        os._exit(99)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.parametrize(("use", "expected"), [("used", 99), ("new", 0)])
def test_a_process_forked_after_the_first_use_is_told_instead_of_hanging(s3_options, use, expected):
    S3Files(s3_options).put(NAME, DATA)
    options = [getattr(s3_options, name) for name in ("prefix", "endpoint", "access_key_id", "secret_access_key")]
    done = subprocess.run([sys.executable, "-c", FORK, *options, use, NAME], cwd=ROOT, check=False)
    assert done.returncode == expected


@pytest.mark.django_db
def test_an_import_into_a_bucket_is_read_back_from_it(s3_options, hindsight_home, settings, tmp_path):
    settings.CANDLE_S3 = {name: getattr(s3_options, name) for name in S3Options.__slots__}
    assert import_paths([write_daily(tmp_path / "in", "2025-01-01", make_candles(24))]).is_complete
    segment = Segment.objects.get()
    candle_store().verify(ref_of(segment))
    assert segment.n_bytes == candle_store().n_bytes(ref_of(segment))
    assert not (hindsight_home / "candles").exists()
