from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.utils import timezone

from marketdata.imports import import_paths
from marketdata.models import IngestJob, Segment
from tests.marketdata.candle_makers import JANUARY_MS, make_candles, write_daily

pytestmark = pytest.mark.django_db

Status = IngestJob.Status
REQUEST = {"market": "usdm", "symbols": ["BTCUSDT"]}


def queue(**fields) -> IngestJob:
    return IngestJob.objects.create(**{"kind": "fetch", "description": "Fetch", "request": REQUEST, **fields})


def claim(**fields) -> IngestJob:
    job = IngestJob.objects.claim(queue(**fields).pk)
    assert job is not None
    return job


def let_lease_run_out(job):
    IngestJob.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def reload(job) -> IngestJob:
    return IngestJob.objects.get(pk=job.pk)


def test_of_two_claims_one_gets_the_job():
    job = queue()
    assert IngestJob.objects.claim(job.pk) is not None
    assert IngestJob.objects.claim(job.pk) is None


def test_workers_take_one_job_at_a_time():
    first, second = claim(), queue()
    assert IngestJob.objects.claim(second.pk) is None
    first.succeed()
    assert IngestJob.objects.claim(second.pk) is not None


def test_a_job_of_the_command_line_keeps_no_worker_from_its_own():
    IngestJob.objects.start("fetch", "Fetch")
    assert IngestJob.objects.claim(queue().pk) is not None


def test_a_job_whose_process_disappeared_is_failed_with_a_reason_and_can_be_resumed():
    job = claim()
    assert IngestJob.objects.end_lost() == 0
    let_lease_run_out(job)
    assert IngestJob.objects.end_lost() == 1
    lost = reload(job)
    assert (lost.status, lost.failure_code, lost.can_resume) == (Status.FAILED, "lost", True)
    assert not job.succeed()  # it was asleep, and is too late
    assert IngestJob.objects.filter(pk=job.pk).requeue() == 1
    again = IngestJob.objects.claim(job.pk)
    assert again is not None
    assert (again.attempt, again.failure_code, again.finished_at) == (2, "", None)


def test_a_lost_job_that_was_to_be_cancelled_is_cancelled():
    job = claim()
    IngestJob.objects.all().request_cancel()
    let_lease_run_out(job)
    IngestJob.objects.end_lost()
    assert reload(job).status == Status.CANCELLED


def test_a_queued_job_is_cancelled_at_once_and_a_running_one_at_its_beat():
    waiting, running = queue(), claim()
    assert IngestJob.objects.all().request_cancel() == 2
    assert reload(waiting).status == Status.CANCELLED
    assert reload(running).status == Status.RUNNING
    assert not running.beat()
    assert running.cancel()
    assert reload(running).status == Status.CANCELLED
    assert IngestJob.objects.all().request_cancel() == 0


def test_a_job_that_is_given_back_waits_again():
    job = claim()
    assert job.give_back(log="so far")
    waiting = reload(job)
    assert (waiting.status, waiting.log, waiting.token) == (Status.QUEUED, "so far", None)
    assert not job.beat()


def test_an_import_of_files_cannot_be_resumed():
    job = claim(request={})
    job.fail("refused", "Damaged.")
    assert not reload(job).can_resume
    assert IngestJob.objects.filter(pk=job.pk).requeue() == 0


@pytest.mark.parametrize(
    "illegal",
    [
        {"status": "running"},
        {"status": "succeeded"},
        {"status": "queued", "finished_at": timezone.now()},
        {"status": "failed", "finished_at": timezone.now()},
        {"status": "cancelled", "finished_at": timezone.now()},
    ],
)
def test_the_database_refuses_illegal_states(illegal):
    with pytest.raises(IntegrityError):
        queue(**illegal)


def test_only_staff_see_jobs(staff, owner):
    job = queue(requested_by=owner)
    assert list(IngestJob.objects.visible_to(staff)) == [job]
    assert not IngestJob.objects.visible_to(owner)


@pytest.mark.usefixtures("hindsight_home")
def test_a_cancelled_import_keeps_what_it_took_in_and_stops(tmp_path):
    for day in (1, 2):
        month = f"2025-0{day}-01"
        write_daily(tmp_path / "in", month, make_candles(24, first_ms=JANUARY_MS + (day - 1) * 31 * 86_400_000))
    told = []

    def cancel(*progress):
        told.append(progress)
        IngestJob.objects.all().request_cancel()

    outcome = import_paths([tmp_path / "in"], on_progress=cancel)
    assert outcome.job.status == Status.CANCELLED
    assert len(told) == 1
    assert Segment.objects.count() == 2  # the group in which the cancellation is seen is whole
    assert "cancelled" in outcome.job.log


def test_jobs_that_ended_long_ago_are_forgotten():
    def fail_before(days):
        job = claim()
        job.fail("no_answer", "The archive does not answer.")
        IngestJob.objects.filter(pk=job.pk).update(finished_at=timezone.now() - timedelta(days=days))
        return job

    fail_before(91)
    recent, waiting = fail_before(89), queue()
    IngestJob.objects.filter(pk=waiting.pk).update(created_at=timezone.now() - timedelta(days=200))
    assert IngestJob.objects.drop_old() == 1
    assert set(IngestJob.objects.values_list("pk", flat=True)) == {recent.pk, waiting.pk}
    assert IngestJob.objects.drop_old() == 0
