import os
import weakref
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.arrays import CandleArrays
from marketdata.store import (
    CandleStore,
    SegmentDamaged,
    SegmentMismatch,
    SegmentMissing,
    SegmentRef,
    StoreError,
)
from tests.marketdata.candle_makers import JANUARY_MS, make_candles, make_funding

HOUR = 3_600_000


def test_what_is_published_is_read_back_bit_by_bit(tmp_path):
    store = CandleStore(tmp_path)
    candles = make_candles(50)
    ref = store.publish(candles)
    assert ref == SegmentRef(ref.sha256, 50, JANUARY_MS, JANUARY_MS + 49 * HOUR)
    assert store.read_candles([ref]).has_same_rows(candles)


def test_a_reading_is_read_only(tmp_path):
    store = CandleStore(tmp_path)
    refs = [store.publish(make_candles(5)), store.publish(make_candles(5, first_ms=JANUARY_MS + 5 * HOUR))]
    for part in (refs[:1], refs):
        with pytest.raises(ValueError, match="read-only"):
            store.read_candles(part).close[0] = 1.0


def test_a_file_is_named_by_its_own_hash_and_verifies(tmp_path):
    store = CandleStore(tmp_path)
    ref = store.publish(make_candles())
    store.verify(ref)
    assert store.files.path_of(ref.sha256).is_file()
    assert store.n_bytes(ref) > 0


def test_the_same_rows_are_one_file(tmp_path):
    store = CandleStore(tmp_path)
    assert store.publish(make_candles()) == store.publish(make_candles())
    assert len(list((tmp_path / "candles").rglob("*.parquet"))) == 1


@given(first=st.integers(-5, 55), end=st.integers(-5, 55))
def test_a_span_over_several_segments_is_exactly_the_rows_inside(tmp_path_factory, first, end):
    store = CandleStore(tmp_path_factory.mktemp("span"))
    whole = make_candles(50)
    refs = [store.publish(whole.take(slice(a, b))) for a, b in ((0, 20), (20, 21), (21, 50))]
    from_ms, to_ms = JANUARY_MS + first * HOUR + 7, JANUARY_MS + end * HOUR
    expected = whole.take((whole.open_ms >= from_ms) & (whole.open_ms < to_ms))
    assert store.read_candles(refs, from_ms, to_ms).has_same_rows(expected)


def test_nothing_is_read_from_no_segments(tmp_path):
    rows = CandleStore(tmp_path).read_candles([])
    assert len(rows) == 0
    assert rows.open_ms.dtype == np.int64
    assert len(CandleStore(tmp_path).read_funding([])) == 0


def test_funding_is_stored_like_candles(tmp_path):
    store = CandleStore(tmp_path)
    funding = make_funding()
    assert store.read_funding([store.publish(funding)]).has_same_rows(funding)


def test_rows_out_of_order_are_no_segment(tmp_path):
    with pytest.raises(StoreError, match="later than the one before"):
        CandleStore(tmp_path).publish(make_candles(5).take(np.array([0, 2, 1])))
    with pytest.raises(StoreError):
        CandleStore(tmp_path).publish(CandleArrays.empty())


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(SegmentMissing, match="0000"):
        CandleStore(tmp_path).read_candles([SegmentRef("0" * 64, 5, 1, 2)])


def test_a_damaged_file_is_never_read_and_is_healed_by_publishing_again(tmp_path):
    store = CandleStore(tmp_path)
    ref = store.publish(make_candles())
    path = store.files.path_of(ref.sha256)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(SegmentDamaged):
        store.verify(ref)
    with pytest.raises(SegmentDamaged):
        store.read_candles([ref])
    store.publish(make_candles())
    store.verify(ref)


def test_a_broken_copy_is_derived_again(tmp_path):
    store = CandleStore(tmp_path)
    ref = store.publish(make_candles())
    store.read_candles([ref])
    [copy] = (tmp_path / "cache").rglob("*.arrow")
    copy.unlink()
    copy.write_bytes(b"cut short")
    assert store.read_candles([ref]).has_same_rows(make_candles())


def test_a_file_system_without_hard_links_works_too(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", lambda *args: (_ for _ in ()).throw(OSError(1, "Operation not permitted")))
    store = CandleStore(tmp_path)
    store.verify(store.publish(make_candles()))


@pytest.mark.parametrize("fact", ["n_rows", "first_ms", "last_ms"])
def test_a_file_that_holds_other_rows_than_is_said_of_it_is_not_read(tmp_path, fact):
    store = CandleStore(tmp_path)
    ref = store.publish(make_candles())
    lie = replace(ref, **{fact: getattr(ref, fact) + 1})
    for _ in range(2):  # from the file, then from its copy
        with pytest.raises(SegmentMismatch):
            store.read_candles([lie])
        store.read_candles([ref])
    with pytest.raises(SegmentMismatch):
        store.verify(lie)


def test_columns_that_are_joined_take_no_more_than_their_arrays(tmp_path):
    """No more than one segment is mapped or held beside the arrays."""
    store = CandleStore(tmp_path)
    month, names = 31 * 24, ("open_ms", "close")
    refs = [store.publish(make_candles(month, first_ms=JANUARY_MS + i * month * HOUR)) for i in range(12)]
    open_at_once, most = [], []
    opened = store.copies.open

    def count(name):
        table = opened(name)
        if table is not None:
            open_at_once.append(weakref.ref(table))
            most.append(sum(seen() is not None for seen in open_at_once))
        return table

    store.read_columns(names, refs)
    store.copies.open = count
    columns = store.read_columns(names, refs)
    assert len(columns["close"]) == 12 * month
    assert max(most) <= 2
