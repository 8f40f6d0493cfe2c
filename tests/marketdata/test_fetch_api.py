import pytest

from marketdata.jobs import dispatch
from marketdata.models import IngestJob
from tests.marketdata.archive_makers import serve

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]

JOBS = "/api/v1/ingest-jobs/"
REQUEST = {"market": "usdm", "symbols": ["BTCUSDT"], "timeframe": "1h", "from": "2025-01", "to": "2025-02"}


@pytest.fixture(autouse=True)
def sent(monkeypatch):
    messages = []
    monkeypatch.setattr(dispatch, "async_task", lambda *args, **kwargs: messages.append(args))
    return messages


def post(client, address, body=None):
    return client.post(address, body or {}, content_type="application/json")


def make_job(**fields) -> IngestJob:
    return IngestJob.objects.create(**{"kind": "fetch", "description": "Fetch", "request": REQUEST, **fields})


def test_a_fetch_is_requested_listed_read_and_cancelled(staff, staff_client, django_capture_on_commit_callbacks, sent):
    with django_capture_on_commit_callbacks(execute=True):
        answer = post(staff_client, JOBS, REQUEST)
    assert answer.status_code == 201
    told = answer.json()
    assert answer["Location"].endswith(f"{JOBS}{told['id']}/")
    assert (told["status"], told["kind"], told["requested_by"]) == ("queued", "fetch", "staff@example.org")
    assert told["request"] == {**REQUEST, "from": "2025-01-01", "to": "2025-02-28", "mark": False, "funding": False}
    assert len(sent) == 1
    [listed] = staff_client.get(JOBS).json()["results"]
    assert listed["id"] == told["id"]
    assert "log" not in listed
    address = f"{JOBS}{told['id']}/"
    assert staff_client.get(address).json()["log"] == ""
    assert post(staff_client, f"{address}cancel/").json()["status"] == "cancelled"
    assert post(staff_client, f"{address}cancel/").status_code == 409
    assert post(staff_client, f"{address}resume/").json()["status"] == "queued"
    assert post(staff_client, f"{address}resume/").json()["code"] == "not_resumable"


def test_the_plan_names_files_and_what_is_missing(staff_client, loopback_archive, settings):
    settings.ARCHIVE_URL = settings.ARCHIVE_LISTING_URL = loopback_archive.url
    serve(loopback_archive, "2025-01")
    told = post(staff_client, f"{JOBS}plan/", REQUEST).json()
    assert (told["n_files"], told["series"][0]["last"]) == (1, "2025-01")
    assert told["series"][0]["missing"][0]["period"] == "2025-02"
    assert not IngestJob.objects.exists()


def test_a_plan_of_an_archive_that_is_down_says_so(staff_client, settings):
    settings.ARCHIVE_URL, settings.ARCHIVE_LISTING_URL = "http://127.0.0.1:9", ""
    answer = post(staff_client, f"{JOBS}plan/", REQUEST)
    assert (answer.status_code, answer.json()["code"]) == (502, "no_answer")


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"symbols": ["../../etc"]}, "symbols", "bad_symbol"),
        ({"symbols": None}, "symbols", "missing"),
        ({"timeframe": "1x"}, "timeframe", "unknown_timeframe"),
        ({"from": "2025-03"}, "to", "before_from"),
        ({"market": "spot", "mark": True}, "mark", "spot_has_none"),
        ({"mark": [1]}, "mark", "not_a_boolean"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_alike_by_both(staff_client, changes, field, code):
    for address in (JOBS, f"{JOBS}plan/"):
        answer = post(staff_client, address, {**REQUEST, **changes})
        assert (answer.status_code, answer.json()["field"], answer.json()["code"]) == (400, field, code)
    assert not IngestJob.objects.exists()


def test_a_body_that_is_no_object_is_refused(staff_client):
    assert post(staff_client, JOBS, [1]).json()["code"] == "not_an_object"


def test_no_more_jobs_wait_than_is_sensible(staff_client, monkeypatch):
    monkeypatch.setattr("marketdata.jobs.service.MAX_ACTIVE_JOBS", 1)
    make_job()
    assert post(staff_client, JOBS, REQUEST).json()["code"] == "too_many_jobs"


def test_for_those_who_are_not_staff_these_addresses_lead_nowhere(owner, owner_client, anonymous):
    job = make_job(requested_by=owner)
    for address in (JOBS, f"{JOBS}plan/", f"{JOBS}{job.pk}/", f"{JOBS}{job.pk}/cancel/", f"{JOBS}{job.pk}/resume/"):
        assert post(owner_client, address, REQUEST).status_code in (404, 405)
        assert owner_client.get(address).status_code in (404, 405)
        assert anonymous.get(address).status_code in (401, 403)
    assert owner_client.get(JOBS).status_code == 404
    assert IngestJob.objects.get().status == "queued"
