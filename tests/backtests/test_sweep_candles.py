"""What nobody points to goes away; what a row, a run or an importer at work needs stays."""

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from backtests.operations.housekeeping import sweep_candles_daily
from backtests.pins import find_pinned
from marketdata import segments
from marketdata.home import candle_store
from marketdata.imports import import_paths
from marketdata.models import Segment, Series
from marketdata.segments import ref_of
from marketdata.sweeping import Swept, sweep_candles
from tests.builders import build_run
from tests.marketdata.candle_makers import JANUARY_MS, make_candles, write_daily

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]

DAY = 86_400_000
WEEK_S = 7 * 86_400


def import_day(folder, day=1, **kwargs):
    candles = make_candles(24, first_ms=JANUARY_MS + (day - 1) * DAY, **kwargs)
    assert import_paths([write_daily(folder / str(day), f"2025-01-{day:02}", candles)]).is_complete


def age_files(by_s=WEEK_S):
    """As if everything had been written a week ago."""
    store = candle_store()
    for folder in (store.files.folder, store.cache.folder):
        for path in folder.rglob("*.*"):
            os.utime(path, (time.time() - by_s,) * 2)


def held_files():
    return {file.name for file in candle_store().files.list_files()}


def sweep(**kwargs):
    return sweep_candles(candle_store(), find_pinned, **kwargs)


@pytest.fixture
def revised(tmp_path):
    """January in two revisions, all files old: the replaced segment and the current one."""
    import_day(tmp_path, 1)
    import_day(tmp_path, 2)
    age_files()
    return tuple(Segment.objects.order_by("revision"))


def test_what_rows_name_stays(revised):
    assert sweep() == Swept()
    assert held_files() == {segment.sha256 for segment in revised}


def test_a_file_without_row_goes_with_its_copy(revised):
    store = candle_store()
    ref = store.publish(make_candles(5))
    store.read_candles([ref])
    assert sweep() == Swept()  # it is new
    age_files()
    dry = sweep(is_dry=True)
    assert ref.sha256 in held_files()
    swept = sweep()
    assert swept == dry
    assert (swept.orphans, swept.n_copies) == ((ref.sha256,), 1)
    assert swept.n_bytes > 0
    assert held_files() == {segment.sha256 for segment in revised}
    assert not store.copies.path_of(ref.sha256).exists()


def test_a_file_that_only_a_run_names_stays(revised, owner):
    run = build_run(owner, run_data={"symbols": [{"anything": [ref_of(revised[0]).to_json()]}]})
    Series.objects.all().delete()
    assert sweep().orphans == (revised[1].sha256,)
    run.delete()
    assert sweep().orphans == (revised[0].sha256,)


def test_replaced_revisions_stay_unless_asked(revised, owner):
    Segment.objects.update(created_at=timezone.now() - timedelta(days=40))
    run = build_run(owner, run_data={"symbols": [{"candles": [ref_of(revised[0]).to_json()]}]})
    after = timedelta(days=30)
    assert sweep() == Swept()
    assert sweep(drop_superseded_after=after) == Swept()  # pinned
    run.delete()
    assert sweep(drop_superseded_after=timedelta(days=50)) == Swept()
    assert sweep(drop_superseded_after=after, is_dry=True).n_revisions == 1
    swept = sweep(drop_superseded_after=after)
    assert (swept.n_revisions, swept.orphans) == (1, (revised[0].sha256,))
    assert list(Segment.objects.all()) == [revised[1]]


def test_temporary_files_of_dead_writers_go_when_they_are_old(revised):
    store = candle_store()
    folder = store.files.path_of(revised[0].sha256).parent
    for name, age in ((".dead.tmp", WEEK_S), (".alive.tmp", 0)):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (time.time() - age,) * 2)
    assert sweep().leftovers == (f"{folder.name}/.dead.tmp",)
    assert (folder / ".alive.tmp").exists()


def test_files_of_others_in_the_folder_are_left_alone(revised):
    stray = candle_store().files.folder / "ab" / "mine.parquet"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"x")
    age_files()
    assert sweep() == Swept()
    assert stray.exists()


@pytest.mark.django_db(transaction=True)
def test_a_file_is_not_swept_while_an_import_is_about_to_name_it(tmp_path, monkeypatch):
    """The file lies there as an orphan already, so the import does not write it anew: only its lock protects it."""
    import_day(tmp_path, 1)
    [name] = held_files()
    Series.objects.all().delete()
    age_files()
    is_published, may_commit = threading.Event(), threading.Event()
    publish = segments.CandleStore.publish

    def publish_slowly(*args):
        ref = publish(*args)
        is_published.set()
        may_commit.wait(10)
        return ref

    monkeypatch.setattr(segments.CandleStore, "publish", publish_slowly)

    def in_own_connection(work):
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        importing = pool.submit(in_own_connection, lambda: import_day(tmp_path, 1))
        assert is_published.wait(10)
        sweeping = pool.submit(in_own_connection, lambda: sweep(grace_s=-1.0))
        time.sleep(0.5)
        assert not sweeping.done()  # it waits
        may_commit.set()
        importing.result(20)
        assert sweeping.result(20).orphans == ()
    candle_store().verify(ref_of(Segment.objects.get(sha256=name)))


def test_many_sweepers_at_once_do_no_harm(revised):
    store = candle_store()
    for i in range(50):
        store.publish(make_candles(5, price=200.0 + i))
    age_files()
    found = [sweep(is_dry=True) for _ in range(2)]
    assert found[0] == found[1]
    sweep()
    for name in found[0].orphans:
        store.files.delete(name)  # a slower one comes to it again
    assert held_files() == {segment.sha256 for segment in revised}


def test_the_command_tells_in_words_and_in_json(revised, capsys):
    candle_store().publish(make_candles(5))
    age_files()
    call_command("sweep_candles", "--dry-run")
    assert "Would remove 1 candle files" in capsys.readouterr().out
    call_command("sweep_candles", "--json")
    assert len(json.loads(capsys.readouterr().out)["orphans"]) == 1
    for options in (["--grace-hours", "0.5"], ["--drop-superseded-days", "0"]):
        with pytest.raises(CommandError, match="at least 1"):
            call_command("sweep_candles", *options)


def test_the_site_sweeps_once_a_day(revised):
    candle_store().publish(make_candles(5))
    age_files()
    assert sweep_candles_daily()
    assert held_files() == {segment.sha256 for segment in revised}
    assert not sweep_candles_daily()
    os.utime(candle_store().cache.folder / ".swept", (time.time() - 86_401,) * 2)
    assert sweep_candles_daily()
