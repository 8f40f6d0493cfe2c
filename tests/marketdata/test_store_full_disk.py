"""A disk that is full or must not be written: a clear error, nothing left, nothing corrupt, and it works again."""

import os
from pathlib import Path

import pytest

from marketdata.home import candle_store
from marketdata.imports import import_paths
from marketdata.models import Segment
from marketdata.segments import ref_of
from marketdata.store import CandleStore, StoreFull, StoreRefused
from tests.marketdata.candle_makers import JANUARY_MS, make_candles, write_daily
from tests.marketdata.disks import files_in, fill, no_space, read_only, small_files_only, tiny_disk

DAY = 86_400_000


def fail_once(monkeypatch, owner, name, fault, at):
    """Let the call number `at` fail; the others work."""
    real, n_calls = getattr(owner, name), 0

    def call(*args, **kwargs):
        nonlocal n_calls
        n_calls += 1
        return fault() if n_calls == at else real(*args, **kwargs)

    monkeypatch.setattr(owner, name, call)


@pytest.mark.parametrize(
    ("owner", "name", "at"),
    [(Path, "mkdir", 1), (Path, "mkdir", 2), (Path, "open", 1), *((os, "fsync", at) for at in (1, 2, 3, 4))],
)
@pytest.mark.parametrize(("fault", "kind"), [(no_space, StoreFull), (read_only, StoreRefused)])
def test_every_step_of_publishing_that_fails_says_why_and_leaves_nothing(
    tmp_path, monkeypatch, owner, name, at, fault, kind
):
    store = CandleStore(tmp_path)
    fail_once(monkeypatch, owner, name, fault, at)
    with pytest.raises(kind, match="could not be written"):
        store.publish(make_candles())
    monkeypatch.undo()
    assert not [file for file in files_in(tmp_path) if not file.endswith(".parquet")]
    ref = store.publish(make_candles())
    store.verify(ref)


def test_a_link_and_a_rename_that_fail_leave_nothing(tmp_path, monkeypatch):
    store = CandleStore(tmp_path)
    monkeypatch.setattr(os, "link", no_space)
    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(StoreFull, match="No space left on device"):
        store.publish(make_candles())
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("n_bytes", [1, 500, 2_000])
def test_a_write_that_is_cut_short_leaves_nothing(tmp_path, n_bytes):
    store = CandleStore(tmp_path)
    with small_files_only(n_bytes), pytest.raises(StoreFull):
        store.publish(make_candles(2_000))
    assert files_in(tmp_path) == []
    assert store.read_candles([store.publish(make_candles(2_000))]).has_same_rows(make_candles(2_000))


def publish_until_full(store):
    refs = []
    for i in range(1_000):
        try:
            refs.append(store.publish(make_candles(500, first_ms=JANUARY_MS + i * DAY * 30)))
        except StoreFull:
            return refs
    raise AssertionError("the disk never ran full")


def test_a_real_disk_runs_full_and_works_again_when_there_is_space(tmp_path):
    with tiny_disk(tmp_path / "disk", 300_000) as disk:
        store = CandleStore(disk)
        refs = publish_until_full(store)
        assert refs
        assert all(file.endswith(".parquet") for file in files_in(disk / "candles"))
        for ref in refs:
            store.verify(ref)
        assert len(store.read_candles(refs)) == 500 * len(refs)  # no copy can be kept, and none is needed
        (disk / "candles" / refs[0].sha256[:2] / f"{refs[0].sha256}.parquet").unlink()
        for path in (disk / "cache").rglob("*.arrow"):
            path.unlink()
        assert store.publish(make_candles(500)) == refs[0]
        store.verify(refs[0])


@pytest.mark.parametrize("fault", [no_space, read_only])
@pytest.mark.parametrize("step", [(Path, "mkdir"), (os, "replace")])
def test_a_copy_that_cannot_be_kept_does_not_stop_a_reading(tmp_path, monkeypatch, step, fault):
    store = CandleStore(tmp_path)
    ref = store.publish(make_candles())
    monkeypatch.setattr(*step, fault)
    assert store.read_candles([ref]).has_same_rows(make_candles())
    assert files_in(tmp_path / "cache") == []


def test_a_copy_that_is_cut_short_does_not_stop_a_reading(tmp_path):
    store = CandleStore(tmp_path)
    ref = store.publish(make_candles(2_000))
    with small_files_only(1_000):
        assert store.read_candles([ref]).has_same_rows(make_candles(2_000))
    assert files_in(tmp_path / "cache") == []
    store.read_candles([ref])
    assert store.copies.path_of(ref.sha256).is_file()


@pytest.mark.django_db
def test_an_import_onto_a_full_disk_says_so_and_succeeds_later(tmp_path, settings):
    first, second = (
        write_daily(tmp_path, f"2025-01-0{i + 1}", make_candles(24, first_ms=JANUARY_MS + i * DAY)) for i in range(2)
    )
    with tiny_disk(tmp_path / "disk", 200_000) as disk:
        settings.HOME = disk
        assert import_paths([first]).is_complete
        before = list(Segment.objects.values())
        filler = fill(disk)
        outcome = import_paths([second])
        assert [refusal.code for refusal in outcome.refusals] == ["not_stored"]
        assert "No space left on device" in outcome.refusals[0].message
        assert list(Segment.objects.values()) == before
        assert len(candle_store().read_candles([ref_of(Segment.objects.get())])) == 24
        filler.unlink()
        assert import_paths([second]).is_complete
        assert len(candle_store().read_candles([ref_of(Segment.objects.get(is_current=True))])) == 48
