"""check_candles --repair makes damaged files again from the archive, and says where it cannot."""

import json

import pytest
from django.core.management import call_command

from marketdata.home import candle_store
from marketdata.imports import import_paths
from marketdata.models import IngestJob, Segment
from marketdata.samples import make_sample
from marketdata.segments import ref_of
from tests.builders import build_run
from tests.marketdata.archive_makers import serve
from tests.marketdata.candle_makers import make_candles, write_daily
from tests.marketdata.loopback_archive import LoopbackArchive

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]


@pytest.fixture
def archive(settings, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with LoopbackArchive() as archive:
        settings.ARCHIVE_URL = settings.ARCHIVE_LISTING_URL = archive.url
        serve(archive, "2025-01", without=("2025-01-07",))
        serve(archive, "2025-01-07", "2025-02")
        serve(archive, "2025-01", kind="funding", timeframe="")
        args = ("BTCUSDT", "--timeframe", "1h", "--from", "2025-01", "--to", "2025-02")
        call_command("fetch_candles", *args)
        serve(archive, "2025-02", kind="funding", timeframe="")
        call_command("fetch_candles", *args, "--funding")
        yield archive


def path_of(segment):
    return candle_store().files.path_of(segment.sha256)


def repair(capsys, *, succeeds=True):
    capsys.readouterr()
    if succeeds:
        call_command("check_candles", "--repair", "--json")
    else:
        with pytest.raises(SystemExit) as caught:
            call_command("check_candles", "--repair", "--json")
        assert caught.value.code == 1
    return json.loads(capsys.readouterr().out)


def states(told):
    return [row["state"] for row in told["repairs"]]


def current(kind="trade", month=1):
    return Segment.objects.get(series__kind=kind, month__month=month, is_current=True)


def run_with(owner, segment):
    return build_run(owner, run_data={"symbols": [{"candles": [ref_of(segment).to_json()]}]})


def test_lost_and_damaged_files_are_made_again_bit_for_bit(archive, capsys):
    segments = [current(), current(month=2), current("funding")]
    before = list(Segment.objects.order_by("pk").values())
    path_of(segments[0]).unlink()
    path_of(segments[1]).write_bytes(b"x")
    path_of(segments[2]).write_bytes(b"")
    told = repair(capsys)
    assert (told["is_sound"], states(told)) == (True, ["healed"] * 3)
    assert list(Segment.objects.order_by("pk").values()) == before
    for segment in segments:
        candle_store().verify(ref_of(segment))
    job = IngestJob.objects.get(kind="repair")
    assert (job.status, job.n_files_done) == ("succeeded", 3)


def test_for_people_it_says_what_it_did(archive, capsys):
    path_of(current()).unlink()
    call_command("check_candles", "--repair")
    text = capsys.readouterr().out
    assert "healed: BTCUSDT" in text
    assert "all as they should be" in text


def test_a_file_that_the_exchange_has_revised_becomes_a_new_revision(archive, capsys):
    lost = current(month=2)
    path_of(lost).unlink()
    serve(archive, "2025-02", price=105.0)
    told = repair(capsys)
    assert (told["is_sound"], states(told)) == (True, ["revised"])
    assert current(month=2).revision == 2
    assert not Segment.objects.filter(pk=lost.pk).exists()


def test_a_revision_that_runs_have_pinned_is_not_forgotten(archive, capsys, owner):
    lost = current(month=2)
    run_with(owner, lost)
    path_of(lost).unlink()
    serve(archive, "2025-02", price=105.0)
    told = repair(capsys, succeeds=False)
    assert states(told) == ["revised"]
    assert [damage["is_pinned"] for damage in told["damage"]] == [True]
    assert Segment.objects.filter(pk=lost.pk).exists()


def test_a_replaced_revision_that_nobody_pinned_is_dropped(archive, capsys):
    old = current(month=2)
    serve(archive, "2025-02", price=105.0)
    call_command("fetch_candles", "BTCUSDT", "--timeframe", "1h", "--from", "2025-02", "--to", "2025-02")
    path_of(old).unlink()
    told = repair(capsys)
    assert (told["is_sound"], states(told)) == (True, ["dropped"])
    assert Segment.objects.filter(month__month=2, series__kind="trade").count() == 1


def test_without_an_answer_nothing_is_dropped(archive, capsys, settings):
    old = current(month=2)
    serve(archive, "2025-02", price=105.0)
    call_command("fetch_candles", "BTCUSDT", "--timeframe", "1h", "--from", "2025-02", "--to", "2025-02")
    path_of(old).unlink()
    path_of(current()).unlink()
    settings.ARCHIVE_URL, settings.ARCHIVE_LISTING_URL = "http://127.0.0.1:9", ""
    told = repair(capsys, succeeds=False)
    assert states(told) == ["failed", "failed"]
    assert "cannot deliver" in told["repairs"][0]["message"]
    assert Segment.objects.filter(pk=old.pk).exists()
    assert IngestJob.objects.get(kind="repair").failure_code == "incomplete"


def test_a_file_that_the_archive_has_no_more_is_said_so(archive, capsys):
    path_of(current()).unlink()
    archive.files = {key: data for key, data in archive.files.items() if "2025-01-07" not in key}
    told = repair(capsys, succeeds=False)
    assert states(told) == ["failed"]
    assert "does not hold BTCUSDT-1h-2025-01-07.zip any more" in told["repairs"][0]["message"]


def test_what_came_from_elsewhere_is_not_looked_for(archive, capsys, tmp_path):
    import_paths([write_daily(tmp_path, "2025-03-01", make_candles(24, first_ms=1_740_787_200_000))])
    make_sample()
    path_of(current(month=3)).unlink()
    path_of(Segment.objects.get(series__origin="synthetic", series__kind="trade")).unlink()
    n_requests = sum(archive.requests.values())
    told = repair(capsys, succeeds=False)
    said = " ".join(row["message"] for row in told["repairs"])
    assert "is no file of the archive" in said
    assert "make_sample_candles" in said
    assert sum(archive.requests.values()) == n_requests


def test_files_that_only_runs_name_cannot_be_repaired(archive, capsys, owner):
    segment = current(month=2)
    run_with(owner, segment)
    segment.delete()
    candle_store().files.delete(segment.sha256)
    told = repair(capsys, succeeds=False)
    assert "Only runs name it" in told["repairs"][0]["message"]


def test_when_all_is_well_nothing_is_repaired(archive, capsys):
    told = repair(capsys)
    assert (told["is_sound"], told["repairs"]) == (True, [])
    assert not IngestJob.objects.filter(kind="repair").exists()
