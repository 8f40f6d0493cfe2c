"""Copies on a host: bounded, checked, and gone at any time without harm."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from marketdata.store import CandleStore, HostCache
from marketdata.store.publishing import delete_temporaries
from tests.marketdata.candle_makers import JANUARY_MS, make_candles
from tests.marketdata.disks import files_in

ROOT = Path(__file__).resolve().parents[2]
YEAR = 365 * 86_400_000


def store_of(folder, max_bytes):
    return CandleStore(folder, cache=HostCache(folder / "cache", max_bytes))


def test_a_copy_whose_bytes_have_changed_is_not_used(tmp_path):
    CandleStore(tmp_path).read_candles([ref := CandleStore(tmp_path).publish(make_candles(500))])
    [copy] = (tmp_path / "cache").rglob("*.arrow")
    data = bytearray(copy.read_bytes())
    data[len(data) // 2] ^= 1
    copy.unlink()  # a mapped file is never changed in place
    copy.write_bytes(data)
    assert CandleStore(tmp_path).read_candles([ref]).has_same_rows(make_candles(500))
    assert copy.read_bytes() != data


def test_a_copy_of_other_rows_under_this_name_is_not_used(tmp_path):
    store = CandleStore(tmp_path)
    one, other = store.publish(make_candles(20)), store.publish(make_candles(20, price=500.0))
    store.read_candles([one])
    path = store.copies.path_of(other.sha256)
    path.parent.mkdir()
    os.replace(store.copies.path_of(one.sha256), path)
    assert store.read_candles([other]).has_same_rows(make_candles(20, price=500.0))


def test_the_least_recently_used_copies_go_first(tmp_path):
    store = store_of(tmp_path, 10**9)
    refs = [store.publish(make_candles(500, first_ms=JANUARY_MS + i * YEAR)) for i in range(10)]
    for age, ref in enumerate(refs):
        store.read_candles([ref])
        os.utime(store.copies.path_of(ref.sha256), (time.time() - 10_000 + age,) * 2)
    store.read_candles(refs[:1])  # used again
    store.cache.max_bytes = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.arrow")) - 1
    assert store.cache.evict() == 2  # down to nine tenths
    kept = [ref for ref in refs if store.copies.path_of(ref.sha256).is_file()]
    assert kept == [refs[0], *refs[3:]]


def test_what_is_kept_stays_within_its_limit_whatever_is_read(tmp_path):
    store = store_of(tmp_path, 200_000)
    refs = [store.publish(make_candles(500, first_ms=JANUARY_MS + i * YEAR)) for i in range(30)]
    for _ in range(2):
        assert len(store.read_candles(refs)) == 15_000
        assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.arrow")) <= 200_000


def test_an_array_outlives_the_copy_that_it_was_mapped_from(tmp_path):
    store = CandleStore(tmp_path)
    ref = store.publish(make_candles(500))
    rows = store.read_candles([ref])
    store.copies.path_of(ref.sha256).unlink()
    assert rows.has_same_rows(make_candles(500))


def test_only_old_leftovers_of_writers_are_removed(tmp_path):
    for name, age in (("old", 7_200), ("new", 60)):
        path = tmp_path / "ab" / f".{name}.tmp"
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    assert delete_temporaries(tmp_path, 3_600, is_dry=True) == ["ab/.old.tmp"]
    assert delete_temporaries(tmp_path, 3_600) == ["ab/.old.tmp"]
    assert files_in(tmp_path) == ["ab/.new.tmp"]


def test_what_is_written_while_another_clears_up_is_cleared_up_too(tmp_path, monkeypatch):
    """One that clears up may take so long that the others have written their last files when it is done."""
    caches = [HostCache(tmp_path, 1_000) for _ in range(2)]
    evict = HostCache.evict
    late = iter([5])  # files that the other writes between the look and its end

    def evict_slowly(cache):
        n_removed = evict(cache)
        for i in range(next(late, 0)):
            write_bytes(caches[1], f"{i:064x}", 300)
        return n_removed

    monkeypatch.setattr(HostCache, "evict", evict_slowly)
    write_bytes(caches[0], "f" * 64, 300)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.arrow")) <= 1_000


def write_bytes(cache, name, n_bytes):
    assert cache.write(cache.path_of(name, "arrow"), lambda path: path.write_bytes(b"x" * n_bytes))


READER = """
import json, sys
from pathlib import Path
from marketdata.store import CandleStore, HostCache, SegmentRef

folder, max_bytes, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
refs = [SegmentRef(*fields) for fields in json.loads(sys.argv[4])]
store = CandleStore(folder, cache=HostCache(folder / "cache", max_bytes))
for i in range(40):
    at = (seed * 7 + i) % len(refs)
    rows = store.read_candles(refs[at : at + 3])
    assert len(rows) == 500 * len(refs[at : at + 3]), len(rows)
"""


def test_processes_share_the_cache_and_evict_under_each_other(tmp_path):
    store = store_of(tmp_path, 10**9)
    refs = [store.publish(make_candles(500, first_ms=JANUARY_MS + i * YEAR)) for i in range(12)]
    fields = json.dumps([[ref.sha256, ref.n_rows, ref.first_ms, ref.last_ms] for ref in refs])
    readers = [
        subprocess.Popen([sys.executable, "-c", READER, str(tmp_path), "150000", str(seed), fields], cwd=ROOT)
        for seed in range(3)
    ]
    assert [reader.wait(60) for reader in readers] == [0, 0, 0]
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.arrow")) <= 1.06 * 150_000
    assert not list((tmp_path / "cache").rglob("*.tmp"))
