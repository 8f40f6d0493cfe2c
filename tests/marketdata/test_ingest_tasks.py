"""Jobs on the workers: dispatch, the task, the daily extension and its schedule."""

import datetime as dt
from datetime import timedelta
from functools import partial

import pytest
from django.core.management import call_command
from django.utils import timezone
from django_q.models import Schedule

from marketdata import tasks
from marketdata.fetch.extend import find_extensions
from marketdata.fetch.pulse import Pulse
from marketdata.fetch.site import site_archive
from marketdata.jobs import dispatch
from marketdata.jobs.attempt import run_fetch
from marketdata.jobs.schedule import ensure_schedule, next_time
from marketdata.jobs.service import request_extension, request_fetch
from marketdata.models import IngestJob, Segment
from marketdata.samples import make_sample
from tests.marketdata.archive_makers import serve

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]

RAW = {"market": "usdm", "symbols": "BTCUSDT", "timeframe": "1h", "from": "2025-01", "to": "2025-02"}
TODAY = dt.date(2025, 4, 3)


@pytest.fixture
def archive(loopback_archive, settings, monkeypatch):
    settings.ARCHIVE_URL = settings.ARCHIVE_LISTING_URL = loopback_archive.url
    quick = partial(site_archive, timeout_s=5.0, n_tries=2, backoff_s=0.01)
    monkeypatch.setattr("marketdata.jobs.attempt.site_archive", quick)
    for module in ("attempt", "service"):
        monkeypatch.setattr(f"marketdata.jobs.{module}.today_utc", lambda: TODAY)
    return loopback_archive


@pytest.fixture(autouse=True)
def sent(monkeypatch):
    messages = []
    monkeypatch.setattr(dispatch, "async_task", lambda task, job_id, **kwargs: messages.append(job_id))
    return messages


def reload(job) -> IngestJob:
    return IngestJob.objects.get(pk=job.pk)


def age(job, seconds):
    then = timezone.now() - timedelta(seconds=seconds)
    IngestJob.objects.filter(pk=job.pk).update(created_at=then)


def test_the_task_carries_out_a_queued_fetch(archive):
    serve(archive, "2025-01", "2025-02")
    job = request_fetch(None, RAW)
    tasks.run_ingest_job(str(job.pk))
    done = reload(job)
    assert (done.status, done.n_files_done, done.n_rows) == ("succeeded", 2, 59 * 24)
    assert "2025-02: new" in done.log
    assert done.progress["n_bytes"] > 0


def test_a_second_message_finds_nothing_to_do(archive):
    serve(archive, "2025-01", "2025-02")
    job = request_fetch(None, RAW)
    tasks.run_ingest_job(str(job.pk))
    n_requests = sum(archive.requests.values())
    tasks.run_ingest_job(str(job.pk))
    assert sum(archive.requests.values()) == n_requests


def test_after_one_job_the_next_is_sent(archive, sent):
    serve(archive, "2025-01", "2025-02")
    first, second = request_fetch(None, RAW), request_fetch(None, RAW)
    tasks.run_ingest_job(str(first.pk))
    assert sent == [str(second.pk)]


def test_a_worker_that_is_told_to_stop_gives_the_job_back(archive, monkeypatch):
    serve(archive, "2025-01", "2025-02")
    job = IngestJob.objects.claim(request_fetch(None, RAW).pk)
    beat = Pulse.beat

    def stop_and_beat(self, *, now=False):
        if Segment.objects.exists():
            self.ask_to_stop()
        beat(self, now=now)

    monkeypatch.setattr(Pulse, "beat", stop_and_beat)
    assert run_fetch(job) is None
    waiting = reload(job)
    assert (waiting.status, waiting.attempt) == ("queued", 1)
    monkeypatch.setattr(Pulse, "beat", beat)
    tasks.run_ingest_job(str(job.pk))
    assert reload(job).status == "succeeded"
    assert archive.requests[next(key for key in archive.files if key.endswith("2025-01.zip"))] == 1


def test_a_lost_job_is_failed_by_the_reaper_and_goes_on_when_resumed(archive):
    serve(archive, "2025-01", "2025-02")
    job = IngestJob.objects.claim(request_fetch(None, RAW).pk)
    IngestJob.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert dispatch.reap_jobs() == 1
    assert reload(job).failure_code == "lost"
    assert run_fetch(job) is None or reload(job).status == "failed"  # it wakes up, and is too late


def test_a_message_that_was_never_sent_is_sent_by_the_reaper(sent):
    job = request_fetch(None, RAW)
    assert (dispatch.reap_jobs(), sent) == (0, [])  # the web process is about to
    age(job, 10)
    assert dispatch.reap_jobs() == 1
    assert sent == [str(job.pk)]
    assert dispatch.reap_jobs() == 0


def test_nothing_is_sent_while_a_job_is_worked_on(sent):
    job, waiting = request_fetch(None, RAW), request_fetch(None, RAW)
    IngestJob.objects.claim(job.pk)
    age(waiting, 10)
    assert (dispatch.reap_jobs(), dispatch.dispatch_next(), dispatch.count_busy_workers()) == (0, 0, 1)


def test_an_error_of_ours_is_named_and_does_not_show_its_insides(archive, monkeypatch):
    monkeypatch.setattr("marketdata.jobs.attempt.find_wanted", lambda *_: 1 / 0)
    job = request_fetch(None, RAW)
    tasks.run_ingest_job(str(job.pk))
    failed = reload(job)
    assert failed.failure_code == "internal"
    assert "division" not in failed.failure + failed.log


def test_a_full_disk_is_said_so(archive, monkeypatch):
    serve(archive, "2025-01", "2025-02")

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("marketdata.fetch.archive.Path.open", fail)
    job = request_fetch(None, RAW)
    tasks.run_ingest_job(str(job.pk))
    assert reload(job).failure_code == "disk_full"


def hold(archive, *periods, **where):
    serve(archive, *periods, **where)
    raw = {**RAW, "from": periods[0], "to": periods[-1], "funding": where.get("kind") == "funding"}
    tasks.run_ingest_job(str(request_fetch(None, raw).pk))


def test_an_extension_goes_from_where_each_series_ends_to_the_newest_file(archive):
    hold(archive, "2025-01")
    serve(archive, "2025-02", "2025-03", "2025-04-01")
    tasks.extend_candles()
    job = IngestJob.objects.get(kind="extend")
    tasks.run_ingest_job(str(job.pk))
    assert (reload(job).status, reload(job).n_files) == ("succeeded", 3)
    assert Segment.objects.filter(is_current=True).count() == 4
    assert [str(wanted.from_day) for wanted in find_extensions(TODAY)] == ["2025-04-02"]


def test_an_extension_that_finds_nothing_new_succeeds(archive):
    hold(archive, "2025-03")
    job = request_extension()
    tasks.run_ingest_job(str(job.pk))
    assert (reload(job).status, reload(job).n_files) == ("succeeded", 0)


def test_a_month_in_progress_is_extended_by_dailies(archive):
    hold(archive, "2025-03-01", "2025-03-02")
    serve(archive, "2025-03-03", "2025-03-04", "2025-03")
    tasks.run_ingest_job(str(request_extension().pk))
    segment = Segment.objects.get(is_current=True)
    assert segment.n_rows == 31 * 24  # the monthly is out: it brings what the dailies do not


def test_only_one_extension_waits_at_a_time(archive):
    hold(archive, "2025-01")
    assert request_extension() is not None
    assert request_extension() is None


def test_synthetic_series_are_not_extended():
    make_sample()
    assert find_extensions(dt.date(2026, 1, 1)) == []
    tasks.extend_candles()
    assert not IngestJob.objects.filter(kind="extend").exists()


def test_the_command_extends_too(archive, monkeypatch, capsys):
    hold(archive, "2025-01")
    serve(archive, "2025-02")
    call_command("fetch_candles", "--extend")
    assert "2025-02: new" in capsys.readouterr().out


def test_the_schedule_is_made_once_moved_and_removed(settings):
    settings.EXTEND_HOUR = 8
    for _ in range(3):
        ensure_schedule()
    [schedule] = Schedule.objects.all()
    assert (schedule.schedule_type, schedule.next_run.hour, schedule.func) == (
        "D",
        8,
        "marketdata.tasks.extend_candles",
    )
    settings.EXTEND_HOUR = 3
    ensure_schedule()
    assert Schedule.objects.get().next_run.hour == 3
    settings.EXTEND_HOUR = -1
    ensure_schedule()
    assert not Schedule.objects.exists()


def test_the_first_extension_is_the_next_time_that_the_hour_comes():
    now = dt.datetime(2025, 5, 5, 8, 30, tzinfo=dt.UTC)
    assert next_time(9, now) == dt.datetime(2025, 5, 5, 9, 20, tzinfo=dt.UTC)
    assert next_time(8, now) == dt.datetime(2025, 5, 6, 8, 20, tzinfo=dt.UTC)
