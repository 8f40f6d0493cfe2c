"""The job crosses to the child unchanged, and nobody can change it on the way."""

import fcntl
import mmap
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests.engine.frames import ChildJob, JobLimits, hide_bars, job_chunks, read_job, table_bytes
from backtests.engine.request import Bars, Feed, FundingEvents, SymbolFeed, merge_times
from backtests.runner.dealer import Dealer
from backtests.runner.jail.job_file import JobFile
from tests.engine.strategy_stage import make_bars, make_feed, make_request

LIMITS = JobLimits(memory_mb=512, cpu_s=60, max_orders=100, max_log_bytes=1_000, max_plot_points=100, max_tasks=16)


def rich_feed():
    plain = make_feed(make_bars(range(100, 150)), make_bars(range(10, 40))).symbols
    bars = plain[0].bars
    stamps = bars.open_ms[::8].copy()
    funding = FundingEvents(stamps, np.linspace(-1e-3, 1e-3, len(stamps)), np.full(len(stamps), np.nan))
    counted = Bars(bars.open_ms, bars.open, bars.high, bars.low, bars.close, bars.volume, np.arange(len(bars)))
    return Feed((SymbolFeed(plain[0].instrument, counted, mark_bars=bars, fine_bars=bars, funding=funding), plain[1]))


def columns_of(feed):
    for symbol in feed.symbols:
        for owner in (symbol.bars, symbol.mark_bars, symbol.fine_bars, symbol.funding):
            if owner is not None:
                yield from ((name, getattr(owner, name)) for name in owner.__slots__)


@pytest.mark.parametrize("has_memfd", [True, False])
def test_a_job_is_read_as_it_was_written(has_memfd, monkeypatch):
    if not has_memfd:
        monkeypatch.delattr(os, "memfd_create")
    feed = rich_feed()
    job = ChildJob("x = 'ü'\n", make_request(feed, params={"fast": 3}, leverage=4), feed, LIMITS)
    file = JobFile()
    file.fill(job_chunks(job))
    fd = file.child_fd
    came = read_job(fd)
    assert (came.source, came.request, came.limits) == (job.source, job.request, job.limits)
    assert [symbol.instrument for symbol in came.feed.symbols] == [symbol.instrument for symbol in feed.symbols]
    for (name, sent), (_, got) in zip(columns_of(feed), columns_of(came.feed), strict=True):
        assert (got is None) == (sent is None), name
        if sent is not None:
            np.testing.assert_array_equal(got, sent)
            assert got.dtype == sent.dtype
            assert not len(got) or not got.flags.writeable
    with pytest.raises(OSError):
        os.write(fd, b"other candles")
    with pytest.raises(OSError):
        os.ftruncate(fd, 0)
    os.close(fd)


@settings(deadline=None)
@given(st.lists(st.sets(st.integers(0, 30), max_size=12), min_size=1, max_size=4))
def test_merged_times_are_the_union_in_order(sets):
    arrays = [np.array(sorted(times), np.int64) for times in sets]
    assert merge_times(arrays).tolist() == sorted(set().union(*sets))


@pytest.mark.parametrize("has_memfd", [True, False])
def test_what_is_shared_grows_for_the_child_and_only_we_can_write_to_it(has_memfd, monkeypatch):
    if not has_memfd:
        monkeypatch.delattr(os, "memfd_create")
    file = JobFile()
    memory, offset = file.fill_and_share([b"head"], 4096)
    file.close()
    fd = file.child_fd
    shown = mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
    assert shown[:offset] == b"head"
    assert not any(shown[offset:])
    memory[offset : offset + 3] = b"bar"
    assert shown[offset : offset + 3] == b"bar"
    attacks = [
        lambda: os.write(fd, b"x"),
        lambda: os.ftruncate(fd, 0),
        lambda: os.ftruncate(fd, 1 << 20),
        lambda: mmap.mmap(fd, 0),
        lambda: mmap.mmap(fd, 0, prot=mmap.PROT_WRITE),
    ]
    for attack in attacks:
        with pytest.raises(OSError):
            attack()
    if has_memfd:  # the seals hold alone, too: the file opened anew for writing, as its owner may
        again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
        for attack in (
            lambda: os.write(again, b"x"),
            lambda: os.ftruncate(again, 0),
            lambda: os.ftruncate(again, 1 << 20),
            lambda: mmap.mmap(again, 0),
        ):
            with pytest.raises(OSError):
                attack()
        with pytest.raises(OSError):
            fcntl.fcntl(again, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
        os.close(again)
    memory[offset] = 1
    assert shown[offset] == 1
    os.close(fd)


def test_a_sealed_job_tells_the_child_nothing_but_numbers_of_rows():
    feed = Feed(rich_feed().symbols[:1])
    request = make_request(feed, warmup_bars=4)
    dealer = Dealer(request, feed)
    file = JobFile()
    job = ChildJob("", request, hide_bars(feed), LIMITS, dealer.shape)
    memory, offset = file.fill_and_share(job_chunks(job), table_bytes(dealer.shape))
    dealer.open(memory, offset)
    came = read_job(file.child_fd)
    assert came.shape == dealer.shape
    assert all(not len(column) for name, column in columns_of(came.feed) if column is not None)
    shown = came.table
    assert shown.columns.close.shape == (1, 50)
    for i_bar in range(4, 50):
        assert np.isnan(shown.columns.close[:, i_bar:]).all()
        assert not shown.market.step_ms[i_bar:].any()
        dealer.show()
        assert shown.columns.close[0, i_bar] == feed.symbols[0].bars.close[i_bar]
    assert dealer.is_over
    for ours, theirs in zip(shown.market.last, dealer._true.market.last, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(shown.market.funding, dealer._true.market.funding)
    file.close()
    os.close(file.child_fd)
