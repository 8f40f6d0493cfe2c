import json
import time
from functools import partial
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from marketdata.coverage import catalogue
from marketdata.fetch import downloads
from marketdata.fetch.pulse import Pulse
from marketdata.fetch.site import site_archive
from marketdata.models import IngestJob, Segment
from tests.conftest import SHARED_DATA
from tests.marketdata.archive_makers import serve
from tests.marketdata.candle_makers import to_zip

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]


@pytest.fixture
def archive(loopback_archive, settings, monkeypatch):
    settings.ARCHIVE_URL = settings.ARCHIVE_LISTING_URL = loopback_archive.url
    quick = partial(site_archive, timeout_s=5.0, n_tries=2, backoff_s=0.01)
    monkeypatch.setattr("marketdata.jobs.attempt.site_archive", quick)
    return loopback_archive


def fetch(*args):
    out = StringIO()
    call_command("fetch_candles", *(args or ("BTCUSDT",)), "--timeframe", "1h", stdout=out)
    return out.getvalue()


def fetch_months(first, last, *args):
    return fetch("BTCUSDT", "--from", first, "--to", last, *args)


def fail(*args):
    with pytest.raises(CommandError) as error:
        fetch(*args)
    return str(error.value)


def n_zips(archive):
    return sum(n for key, n in archive.requests.items() if key.endswith(".zip"))


def coverage_of(kind="trade"):
    [found] = [row for row in catalogue() if row.kind == kind]
    return found


def test_months_are_fetched_verified_and_taken_in(archive):
    serve(archive, "2025-01", "2025-02")
    told = fetch_months("2025-01", "2025-02")
    assert "BTCUSDT usdm 1h 2025-02: new, 672 rows, revision 1" in told
    assert coverage_of().n_rows == (31 + 28) * 24
    job = IngestJob.objects.get()
    assert (job.status, job.kind, job.n_files, job.n_files_done) == ("succeeded", "fetch", 2, 2)
    assert job.request["symbols"] == ["BTCUSDT"]


def test_nothing_stays_in_the_download_folder(archive, hindsight_home):
    serve(archive, "2025-01")
    fetch_months("2025-01", "2025-01")
    assert not [path for path in (hindsight_home / "cache" / "downloads").rglob("*") if path.is_file()]


def test_what_is_held_is_not_fetched_again(archive):
    serve(archive, "2025-01", "2025-02")
    fetch_months("2025-01", "2025-02")
    before, n_before = list(Segment.objects.values()), n_zips(archive)
    assert "0 files taken in, 2 held before" in fetch_months("2025-01", "2025-02")
    assert (list(Segment.objects.values()), n_zips(archive)) == (before, n_before)


def test_a_revised_file_makes_a_new_revision(archive):
    serve(archive, "2025-01", "2025-02")
    fetch_months("2025-01", "2025-02")
    serve(archive, "2025-02", price=101.0)
    assert "2025-02: revised, 672 rows, revision 2" in fetch_months("2025-01", "2025-02")
    assert list(Segment.objects.filter(is_current=True).values_list("revision", flat=True)) == [1, 2]


def test_days_that_a_monthly_lacks_are_filled_from_dailies(archive):
    serve(archive, "2025-01", without=("2025-01-05", "2025-01-20"))
    serve(archive, "2025-01-05", "2025-01-06", "2025-01-20", price=500.0)
    told = fetch_months("2025-01", "2025-01")
    assert "2 days are filled" in told
    assert "new, 744 rows, revision 1" in told
    assert coverage_of().gaps == ()
    assert coverage_of().n_rows == 31 * 24
    assert not any("2025-01-06" in key for key in archive.requests)
    before = n_zips(archive)
    fetch_months("2025-01", "2025-01")
    assert n_zips(archive) == before


def test_a_day_that_neither_file_has_is_missing_and_fails_the_command(archive):
    serve(archive, "2025-01", without=("2025-01-05", "2025-01-20"))
    serve(archive, "2025-01-05")
    message = fail("BTCUSDT", "--from", "2025-01", "--to", "2025-01")
    assert "2025-01-20: without a row in the monthly file" in message
    job = IngestJob.objects.get()
    assert (job.status, job.failure_code, job.can_resume) == ("failed", "incomplete", True)
    assert job.outcome["missing"][0]["period"] == "2025-01-20"
    assert coverage_of().n_rows == 30 * 24


def test_where_both_have_rows_the_monthly_ones_stand(archive):
    serve(archive, "2025-01", "2025-01-10", without=("2025-01-10",))
    serve(archive, "2025-01-10", price=500.0)
    fetch_months("2025-01-10", "2025-01-10")  # taken from the daily, the month is not over for us
    serve(archive, "2025-01", price=100.0)
    fetch_months("2025-01", "2025-01")
    sources = [source["name"] for source in Segment.objects.get(is_current=True).source_sha256s]
    assert sources == ["BTCUSDT-1h-2025-01-10.zip", "BTCUSDT-1h-2025-01.zip"]
    assert coverage_of().n_jumps == 0


def test_candles_marks_and_funding_come_together(archive):
    for kind, timeframe in (("trade", "1h"), ("mark", "1h"), ("funding", "")):
        serve(archive, "2025-01", kind=kind, timeframe=timeframe)
    fetch_months("2025-01", "2025-01", "--mark", "--funding")
    assert {row.kind: row.n_rows for row in catalogue()} == {"trade": 744, "mark": 744, "funding": 93}


def test_several_symbols_and_spot(archive):
    serve(archive, "2025-01", market="spot")
    serve(archive, "2025-01", market="spot", symbol="ETHUSDT")
    fetch("BTCUSDT", "ETHUSDT", "--market", "spot", "--from", "2025-01", "--to", "2025-01")
    assert {(row.market, row.symbol) for row in catalogue()} == {("spot", "BTCUSDT"), ("spot", "ETHUSDT")}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (["garble"] * 2, "wrong_checksum"),
        (["html"] * 2, "wrong_checksum"),
        ([503] * 2, "no_answer"),
        ([401], "refused"),
    ],
)
def test_a_file_that_cannot_be_had_is_named_and_the_others_are_taken(archive, fault, code):
    keys = serve(archive, "2025-01", "2025-02", "2025-03")
    archive.faults[keys[1]] = list(fault)
    assert "2025-02" in fail("BTCUSDT", "--from", "2025-01", "--to", "2025-03")
    assert Segment.objects.count() == 2
    job = IngestJob.objects.get()
    assert [row["code"] for row in job.outcome["refused"]] == [code]
    assert "taken in" in fetch_months("2025-01", "2025-03")  # the next time it works


def test_a_zip_that_holds_nonsense_is_refused_though_its_checksum_is_right(archive):
    [key] = serve(archive, "2025-01")
    archive.add(key, to_zip("not,a,candle\n", "BTCUSDT-1h-2025-01.csv"))
    assert "BTCUSDT-1h-2025-01.zip" in fail("BTCUSDT", "--from", "2025-01", "--to", "2025-01")
    assert not Segment.objects.exists()


def test_an_archive_that_stops_answering_is_not_asked_for_every_file(archive):
    months = [f"2024-{month:02}" for month in range(1, 13)]
    for key in serve(archive, *months):
        archive.faults[f"{key}.CHECKSUM"] = [503] * 9
    assert "does not answer any more" in fail("BTCUSDT", "--from", "2024-01", "--to", "2024-12")
    assert IngestJob.objects.get().failure_code == "no_answer"


def test_a_retry_is_made_when_the_server_says(archive):
    [key] = serve(archive, "2025-01")
    archive.faults[key], archive.retry_after = [503], "0.6"
    started = time.monotonic()
    fetch_months("2025-01", "2025-01")
    assert time.monotonic() - started >= 0.6


def test_files_are_fetched_a_few_at_a_time(archive):
    serve(archive, *[f"2024-{month:02}" for month in range(1, 13)])
    archive.before = lambda key: time.sleep(0.05 if key.endswith(".zip") else 0)
    fetch_months("2024-01", "2024-12")
    assert 2 <= archive.most_at_once <= downloads.N_THREADS + 1


def test_a_plan_fetches_nothing(archive):
    serve(archive, "2025-01")
    told = json.loads(fetch_months("2025-01", "2025-01", "--dry-run", "--json"))
    assert (told["n_files"], told["series"][0]["first"]) == (1, "2025-01")
    assert told["n_bytes"] > 0
    assert not IngestJob.objects.exists()
    assert not n_zips(archive)


def test_a_plan_that_lacks_something_fails(archive):
    serve(archive, "2025-01")
    assert "missing" in fail("BTCUSDT", "--from", "2025-01", "--to", "2025-02", "--dry-run")


def test_the_json_is_one_object_that_says_what_is_missing(archive):
    serve(archive, "2025-01")
    out = StringIO()
    with pytest.raises(CommandError):
        call_command(
            *("fetch_candles", "BTCUSDT", "--timeframe", "1h", "--from", "2025-01", "--to", "2025-02", "--json"),
            stdout=out,
        )
    told = json.loads(out.getvalue())
    assert (told["is_complete"], told["status"], told["n_rows"]) == (False, "failed", 744)
    assert [row["period"] for row in told["outcome"]["missing"]] == ["2025-02"]
    assert [row["change"] for row in told["outcome"]["segments"]] == ["new"]


@pytest.mark.parametrize(
    "args",
    [
        ("../../etc/passwd", "--from", "2025-01"),
        ("BTCUSDT",),
        ("--from", "2025-01"),
        ("BTCUSDT", "--from", "2025-02", "--to", "2025-01"),
        ("BTCUSDT", "--from", "2099-01"),
        ("BTCUSDT", "--from", "2025-01", "--extend"),
    ],
)
def test_what_makes_no_sense_asks_no_network(archive, args):
    assert fail(*args)
    assert not archive.requests
    assert not IngestJob.objects.exists()


def test_a_file_that_another_fetch_left_is_used(archive, hindsight_home):
    [key] = serve(archive, "2025-01")
    path = hindsight_home / "cache" / "downloads" / key
    path.parent.mkdir(parents=True)
    path.write_bytes(archive.files[key])
    fetch_months("2025-01", "2025-01")
    assert archive.requests[key] == 0
    assert not path.exists()


def test_a_cancelled_fetch_stops_within_a_second_although_the_server_stalls(archive, monkeypatch):
    keys = serve(archive, "2025-01", "2025-02", "2025-03")
    archive.faults[keys[1]] = ["stall"]
    stalled_at = []
    archive.before = lambda key: stalled_at.append(time.monotonic()) if key == keys[1] else None
    beat = Pulse.beat

    def cancel_and_beat(self, *, now=False):
        if stalled_at and Segment.objects.exists():
            IngestJob.objects.all().request_cancel()
        beat(self, now=now)

    monkeypatch.setattr(Pulse, "beat", cancel_and_beat)
    assert fail("BTCUSDT", "--from", "2025-01", "--to", "2025-03") == "Cancelled."
    assert time.monotonic() - stalled_at[0] < 2.5
    job = IngestJob.objects.get()
    assert (job.status, job.can_resume) == ("cancelled", True)
    assert "Cancelled" in job.log
    assert Segment.objects.count() == 1


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="real exchange files are not at hand")
class TestRealFiles:
    @pytest.fixture(autouse=True)
    def _serve(self, archive, shared_data):
        archive.lists = False  # as a plain folder behind a web server
        for path in (shared_data / "archive").rglob("*.zip*"):
            archive.files[path.relative_to(shared_data / "archive").as_posix()] = path.read_bytes()

    def test_spot_crosses_the_change_of_units(self):
        fetch("BTCUSDT", "--market", "spot", "--from", "2024-12", "--to", "2025-01")
        assert (coverage_of().n_rows, coverage_of().gaps) == (62 * 24, ())

    def test_dailies_and_funding_of_futures(self):
        out = StringIO()
        args = ("ETHUSDT", "--timeframe", "1m", "--from", "2025-05-30", "--to", "2025-06-02", "--funding")
        call_command("fetch_candles", *args, stdout=out)
        assert coverage_of().n_rows == 4 * 1440
        assert coverage_of("funding").n_rows > 93


@pytest.mark.parametrize("lists", [True, False])
def test_a_fetch_can_be_cancelled_while_it_asks_what_there_is(archive, monkeypatch, lists):
    archive.lists = lists
    [key] = serve(archive, "2025-01")
    archive.faults[""] = ["stall"] if lists else []
    archive.faults[f"{key}.CHECKSUM"] = ["stall"]
    monkeypatch.setattr(Pulse, "enter", lambda self, stage: IngestJob.objects.all().request_cancel())
    started = time.monotonic()
    assert fail("BTCUSDT", "--from", "2025-01", "--to", "2025-01") == "Cancelled."
    assert time.monotonic() - started < 3
