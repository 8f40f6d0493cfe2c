import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone

from backtests.models import BacktestRun, WorkerPool
from tests.builders import build_run

PROGRESS = {
    "n_done": 4_464,
    "n_total": 44_640,
    "bars_per_s": 123_456.7,
    "eta_s": 75.0,
    "equity": 10_234.5,
    "log_tail": ["bought <b>one</b>"],
}


@pytest.fixture
def running(owner):
    run = build_run(owner)
    claimed = BacktestRun.objects.claim(run.pk)
    assert claimed.beat("running", PROGRESS)
    return claimed


def live(client, run):
    return client.get(reverse("run_live", args=[run.pk]), headers={"HX-Request": "true"})


def test_a_running_run_shows_stage_percent_rate_time_left_equity_and_log(owner_client, running):
    fragment = live(owner_client, running).text
    for text in ("Running the strategy", "10&nbsp;%", "4,464", "44,640 bars", "123,457", "1 min 15 s", "10,234.50"):
        assert text in fragment, text
    assert "bought &lt;b&gt;one&lt;/b&gt;" in fragment
    assert "Cancel" in fragment


def test_it_polls_often_at_first_then_each_second_while_running_and_every_two_when_queued(owner_client, owner, running):
    queued = build_run(owner)
    for run, later in ((running, "1s"), (queued, "2s")):
        fragment = live(owner_client, run).text
        assert 'hx-trigger="every 250ms"' in fragment
        long_ago = timezone.now() - dt.timedelta(seconds=6)
        BacktestRun.objects.filter(pk=run.pk).update(created_at=long_ago)
        BacktestRun.objects.filter(pk=run.pk, status="running").update(started_at=long_ago)
        assert f'hx-trigger="every {later}"' in live(owner_client, run).text
    assert "Next in line" in fragment


def test_a_queued_run_says_its_place_on_page_and_api_and_in_lists(owner_client, owner, stranger):
    build_run(stranger)
    queued = build_run(owner)
    assert "Number 2 in line" in live(owner_client, queued).text
    assert "Number 2 in line" in owner_client.get(reverse("run_list")).text
    assert "Number 2 in line" in owner_client.get("/").text
    progress = owner_client.get(reverse("api_backtest", args=[queued.pk])).json()["progress"]
    assert (progress["stage"], progress["queue_position"]) == ("queued", 2)


def test_a_run_that_waits_for_workers_that_get_ready_says_so(owner_client, owner):
    queued = build_run(owner)
    WorkerPool.objects.beat("host:1", 0)
    assert "prove their jail first" in live(owner_client, queued).text
    WorkerPool.objects.beat("host:1", 2)
    assert "Next in line" in live(owner_client, queued).text


def test_a_run_that_waits_for_the_owners_others_says_so(owner_client, owner, running):
    owner.limit_overrides = {"max_concurrent_runs": 1}
    owner.save()
    assert "Waiting for another run of yours to end" in live(owner_client, build_run(owner)).text


@pytest.mark.parametrize(
    ("stage", "word", "code"),
    [
        ("loading", "Loading", "loading"),
        ("preparing", "Warming up", "warming_up"),
        ("starting", "Warming up", "warming_up"),
        ("running", "Running", "running"),
        ("replaying", "Replaying", "replaying"),
        ("metrics", "Metrics", "metrics"),
        ("saving", "Metrics", "metrics"),
    ],
)
def test_each_stage_is_marked_on_the_page_and_named_in_the_api(owner_client, running, stage, word, code):
    running.beat(stage)
    assert f'aria-current="step">{word}</li>' in live(owner_client, running).text
    progress = owner_client.get(reverse("api_backtest", args=[running.pk])).json()["progress"]
    assert (progress["stage"], progress["queue_position"]) == (code, None)


def test_a_run_that_begins_anew_says_so_before_its_progress_goes_back(owner_client, running):
    assert "Attempt" not in live(owner_client, running).text
    assert running.lose()
    assert "Attempt 2: the worker of an earlier one was lost" in live(owner_client, running).text
    again = BacktestRun.objects.claim(running.pk)
    fragment = live(owner_client, again).text
    assert "Attempt 2" in fragment
    assert "10&nbsp;%" not in fragment


def test_a_run_that_was_given_back_says_that_it_was_interrupted(owner_client, running):
    assert running.give_back()
    assert "Attempt 2: an earlier one was interrupted" in live(owner_client, running).text


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_the_fragment_of_a_finished_run_carries_no_trigger_and_asks_for_the_page(owner_client, owner, status):
    answer = live(owner_client, build_run(owner, status))
    assert "hx-trigger" not in answer.text
    assert "hx-get" not in answer.text
    assert answer["HX-Refresh"] == "true"


def test_the_fragment_of_an_active_run_does_not_ask_for_the_page(owner_client, running):
    assert "HX-Refresh" not in live(owner_client, running)


def test_the_page_of_an_active_run_contains_the_fragment_and_is_not_cached(owner_client, running):
    page = owner_client.get(reverse("run_detail", args=[running.pk]))
    assert 'id="run-live"' in page.text
    assert "no-store" in page["Cache-Control"]


def test_a_run_that_has_just_been_claimed_shows_its_stage_without_numbers(owner_client, owner):
    run = build_run(owner)
    BacktestRun.objects.claim(run.pk)
    fragment = live(owner_client, run).text
    assert "Reading the candles" in fragment
    assert "<progress" in fragment


def test_strangers_and_anonymous_see_nothing(stranger_client, anonymous, running):
    assert live(stranger_client, running).status_code == 404
    assert live(anonymous, running).status_code == 302
    assert stranger_client.post(reverse("run_live", args=[running.pk])).status_code == 405
