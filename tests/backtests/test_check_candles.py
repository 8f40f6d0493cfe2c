"""Damage to candle files is found, named, and makes the command fail."""

import json

import pytest
from django.core.management import call_command

from backtests.pins import find_pinned
from marketdata.home import candle_store
from marketdata.imports import import_paths
from marketdata.models import Segment, Series
from marketdata.segments import ref_of
from marketdata.verification import verify_candles
from tests.builders import build_run
from tests.marketdata.candle_makers import JANUARY_MS, make_candles, write_daily

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]

DAY = 86_400_000


@pytest.fixture
def months(tmp_path):
    """January in two revisions, and February."""
    for day, date in ((0, "2025-01-01"), (1, "2025-01-02"), (31, "2025-02-01")):
        assert import_paths([write_daily(tmp_path, date, make_candles(24, first_ms=JANUARY_MS + day * DAY))])
    return list(Segment.objects.order_by("month", "revision"))


def check():
    return verify_candles(candle_store(), find_pinned())


def path_of(segment):
    return candle_store().files.path_of(segment.sha256)


def test_all_is_as_it_should_be(months):
    found = check()
    assert found.is_sound
    assert (found.n_checked, found.files_without_row) == (3, ())


def test_a_missing_and_a_damaged_file_are_told_apart_by_series_and_month(months):
    old, current, february = months
    path_of(old).unlink()
    path_of(february).write_bytes(path_of(february).read_bytes()[:-1])
    candle_store().read_candles([ref_of(current)])
    found = check()
    assert [(damage.kind, damage.month, damage.revision, damage.is_current) for damage in found.damage] == [
        ("missing", "2025-01", 1, False),
        ("damaged", "2025-02", 1, True),
    ]
    assert found.damage[0].series_id == Series.objects.get().pk


def test_a_copy_that_is_whole_hides_no_damage(months):
    candle_store().read_candles([ref_of(months[-1])])
    path_of(months[-1]).write_bytes(b"")
    assert [damage.kind for damage in check().damage] == ["damaged"]


@pytest.mark.parametrize("change", [{"n_rows": 47}, {"first_ms": JANUARY_MS + 1}, {"month": "2025-03-01"}])
def test_a_row_that_says_other_than_its_file_is_found(months, change):
    Segment.objects.filter(pk=months[1].pk).update(**change)
    assert [(damage.kind, damage.segment_id) for damage in check().damage] == [("mismatch", months[1].pk)]


def test_files_that_only_runs_name_are_checked_too(months, owner):
    build_run(owner, run_data={"symbols": [{"candles": [ref_of(segment).to_json() for segment in months[:2]]}]})
    Series.objects.all().delete()
    path_of(months[0]).unlink()
    found = check()
    [damage] = found.damage
    assert (damage.kind, damage.sha256, damage.series, damage.is_pinned) == ("missing", months[0].sha256, "", True)
    assert found.files_without_row == (months[2].sha256,)


def test_the_command_fails_on_damage_only(months, capsys):
    call_command("check_candles")
    assert "3 candle files checked, all as they should be." in capsys.readouterr().out
    path_of(months[1]).write_bytes(b"x")
    with pytest.raises(SystemExit) as caught:
        call_command("check_candles")
    assert caught.value.code == 1
    assert "damaged: BTCUSDT" in (text := capsys.readouterr().out)
    assert "2025-01 revision 2 (current)" in text
    with pytest.raises(SystemExit):
        call_command("check_candles", "--json")
    found = json.loads(capsys.readouterr().out)
    assert (found["is_sound"], found["damage"][0]["sha256"]) == (False, months[1].sha256)


def test_progress_ends_at_all_files(months):
    seen = []
    verify_candles(candle_store(), on_progress=lambda n_done, n_total, what: seen.append((n_done, n_total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
