import pytest
from django.urls import reverse
from django.utils import timezone

from marketdata.jobs import dispatch
from marketdata.models import IngestJob
from tests.marketdata.archive_makers import serve

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]

FORM = {"market": "usdm", "symbols": "BTCUSDT", "timeframe": "1h", "from": "2025-01", "to": "2025-01"}
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def sent(monkeypatch):
    """The messages that would go to the queue."""
    messages = []
    monkeypatch.setattr(dispatch, "async_task", lambda *args, **kwargs: messages.append(args))
    return messages


@pytest.fixture
def archive(loopback_archive, settings):
    settings.ARCHIVE_URL = settings.ARCHIVE_LISTING_URL = loopback_archive.url
    return loopback_archive


def make_job(**fields) -> IngestJob:
    return IngestJob.objects.create(**{"kind": "fetch", "description": "Fetch this", "request": FORM, **fields})


def text_of(response):
    return response.content.decode()


def addresses(job):
    yield "get", reverse("marketdata:fetch")
    yield "post", reverse("marketdata:fetch")
    yield "get", reverse("marketdata:job-list")
    yield "post", reverse("marketdata:extend")
    yield "get", reverse("marketdata:job", args=[job.pk])
    yield "post", reverse("marketdata:job-cancel", args=[job.pk])
    yield "post", reverse("marketdata:job-resume", args=[job.pk])


def test_for_those_who_are_not_staff_there_are_no_such_pages(owner, owner_client, anonymous, sent):
    job = make_job(requested_by=owner)
    for method, address in addresses(job):
        assert getattr(owner_client, method)(address).status_code == 404
        answer = getattr(anonymous, method)(address)
        assert (answer.status_code, "/accounts/login/" in answer.url) == (302, True)
    job.refresh_from_db()
    assert (job.status, IngestJob.objects.count(), sent) == ("queued", 1, [])


def test_pages_refuse_the_wrong_method(staff_client):
    job = make_job()
    assert staff_client.get(reverse("marketdata:job-cancel", args=[job.pk])).status_code == 405
    assert staff_client.get(reverse("marketdata:job-resume", args=[job.pk])).status_code == 405
    assert staff_client.get(reverse("marketdata:extend")).status_code == 405
    assert staff_client.post(reverse("marketdata:job-list")).status_code == 405


def test_the_form_can_be_filled_by_its_address(staff_client):
    page = text_of(staff_client.get(reverse("marketdata:fetch") + "?symbol=ETHUSDT&from=2025-03"))
    assert 'value="ETHUSDT"' in page
    assert 'value="2025-03"' in page


def test_the_plan_is_shown_before_anything_is_fetched(staff_client, archive):
    serve(archive, "2025-01")
    page = text_of(staff_client.post(reverse("marketdata:fetch"), {**FORM, "to": "2025-02"}))
    assert "BTCUSDT usdm 1h" in page
    assert "2025-02" in page
    assert "not in the archive" in page
    assert "Start: 1 file" in page
    assert not IngestJob.objects.exists()
    fragment = text_of(staff_client.post(reverse("marketdata:fetch"), FORM, **HTMX))
    assert "<html" not in fragment
    assert "Start: 1 file" in fragment


def test_an_archive_that_does_not_answer_is_said_on_the_page(staff_client, settings):
    settings.ARCHIVE_URL, settings.ARCHIVE_LISTING_URL = "http://127.0.0.1:9", ""
    assert "cannot be asked now" in text_of(staff_client.post(reverse("marketdata:fetch"), FORM))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"symbols": "../etc"}, "is not a symbol"),
        ({"from": "2025-02"}, "ends before it begins"),
        ({"from": "soon"}, "neither a month"),
        ({"market": "spot", "mark": "on"}, "neither mark prices"),
        ({"symbols": ""}, "required"),
    ],
)
def test_a_form_that_makes_no_sense_is_answered_with_the_reason(staff_client, changes, expected):
    answer = staff_client.post(reverse("marketdata:fetch"), {**FORM, **changes, "start": "1"})
    assert answer.status_code == 422
    assert expected in text_of(answer)
    assert not IngestJob.objects.exists()


def test_starting_queues_a_job_and_leads_to_its_page(staff, staff_client, sent, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = staff_client.post(reverse("marketdata:fetch"), {**FORM, "funding": "on", "start": "1"})
    job = IngestJob.objects.get()
    assert answer.url == reverse("marketdata:job", args=[job.pk])
    assert (job.status, job.requested_by, job.request["funding"]) == ("queued", staff, True)
    assert sent == [(dispatch.TASK, str(job.pk))]
    assert job.dispatched_at is not None


def test_a_job_is_followed_until_it_is_finished(staff_client):
    job = IngestJob.objects.start("fetch", "Fetch this", request=FORM)
    job.beat(stage="fetching", n_files=4, n_files_done=1, log="a line", progress={"n_bytes": 5, "now": "BTCUSDT"})
    address = reverse("marketdata:job", args=[job.pk])
    page, fragment = text_of(staff_client.get(address)), staff_client.get(address, **HTMX)
    for text in (page, text_of(fragment)):
        assert 'hx-trigger="every 1s"' in text
        assert 'value="25"' in text
        assert "a line" in text
    assert "HX-Refresh" not in fragment
    job.fail("incomplete", "One day is missing.", outcome={"missing": [MISSING], "n_missing": 1})
    fragment = staff_client.get(address, **HTMX)
    assert fragment["HX-Refresh"] == "true"
    assert "hx-trigger" not in text_of(fragment)
    page = text_of(staff_client.get(address))
    for expected in ("One day is missing.", "Not everything could be had", "2025-01-20", "not published yet", "Resume"):
        assert expected in page


MISSING = {"series": "BTCUSDT usdm 1h", "period": "2025-01-20", "reason": "not_published", "message": "x"}


def test_a_queued_job_is_cancelled_at_once_and_can_be_resumed(staff_client, sent, django_capture_on_commit_callbacks):
    job = make_job()
    staff_client.post(reverse("marketdata:job-cancel", args=[job.pk]))
    job.refresh_from_db()
    assert job.status == "cancelled"
    with django_capture_on_commit_callbacks(execute=True):
        staff_client.post(reverse("marketdata:job-resume", args=[job.pk]))
    job.refresh_from_db()
    assert job.status == "queued"
    assert len(sent) == 1


def test_cancelling_a_running_job_says_so_in_its_fragment(staff_client):
    job = IngestJob.objects.start("fetch", "Fetch this", request=FORM)
    assert "Cancelling" in text_of(staff_client.post(reverse("marketdata:job-cancel", args=[job.pk]), **HTMX))


def test_jobs_are_listed_with_who_asked_for_them(staff, staff_client):
    make_job(requested_by=staff)
    make_job(status="failed", failure_code="lost", finished_at=timezone.now(), description="Another")
    page = text_of(staff_client.get(reverse("marketdata:job-list")))
    for expected in ("Fetch this", "Another", "staff@example.org", "command or schedule", "The process was lost"):
        assert expected in page
    assert "every 2s" in page
    assert "<html" not in text_of(staff_client.get(reverse("marketdata:job-list"), **HTMX))


def test_with_nothing_held_there_is_nothing_to_extend(staff_client):
    answer = staff_client.post(reverse("marketdata:extend"), follow=True)
    assert "nothing to extend" in text_of(answer)
    assert not IngestJob.objects.exists()
