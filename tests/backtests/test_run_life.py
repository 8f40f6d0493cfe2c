"""The transitions of a run: each says what it expects to find, and does nothing otherwise."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.db.models import Value
from django.db.models.functions import Now
from django.utils import timezone

from backtests.models import BacktestRun
from tests.builders import build_run

pytestmark = pytest.mark.django_db

RESULT = {"artifact_dir": "a/1-b", "result_hash": "f" * 64, "summary": {"n_bars": 3}, "is_ruined": False}


@pytest.fixture
def running(owner):
    return BacktestRun.objects.claim(build_run(owner).pk)


def finish(run):
    return run.finish(**RESULT, jail_level="none")


def reread(run):
    return BacktestRun.objects.get(pk=run.pk)


def expire(run):
    BacktestRun.objects.filter(pk=run.pk).update(lease_until=Now() - Value(timedelta(seconds=1)))


def lose_to_another(run):
    """The lease runs out and another worker claims the run."""
    expire(run)
    return BacktestRun.objects.claim(run.pk)


def test_beat_renews_the_lease_and_carries_progress(running):
    expire(running)
    assert running.beat("running", {"n_done": 5})
    row = reread(running)
    assert (row.stage, row.progress) == ("running", {"n_done": 5})
    assert not BacktestRun.objects.expired().exists()


def test_beat_without_news_leaves_stage_and_progress(running):
    running.beat("running", {"n_done": 5})
    assert running.beat()
    assert (reread(running).stage, reread(running).progress) == ("running", {"n_done": 5})


def test_finish_makes_the_files_the_result(running):
    assert finish(running)
    row = reread(running)
    assert (row.status, row.artifact_dir, row.summary, row.lease_until) == ("succeeded", "a/1-b", {"n_bars": 3}, None)
    assert row.finished_at >= row.started_at


def test_fail_keeps_the_cause(running):
    assert running.fail("strategy_error", {"message": "division by zero", "line": 7}, jail_level="none")
    row = reread(running)
    assert (row.status, row.failure_code, row.failure["line"]) == ("failed", "strategy_error", 7)


def test_give_back_queues_the_run_again_without_counting_a_loss(running):
    assert running.give_back()
    row = reread(running)
    assert (row.status, row.token, row.dispatched_at, row.n_lost, row.attempt) == ("queued", None, None, 0, 1)


@pytest.mark.parametrize(
    "act", [finish, lambda run: run.beat(), lambda run: run.fail("internal", {}), lambda run: run.give_back()]
)
def test_a_late_attempt_changes_nothing(running, act):
    winner = lose_to_another(running)
    assert act(running) is False
    assert (reread(running).status, reread(running).token) == ("running", winner.token)


@pytest.mark.parametrize(
    "act", [finish, lambda run: run.beat(), lambda run: run.fail("internal", {}), lambda run: run.give_back()]
)
def test_after_a_cancellation_only_acknowledging_it_is_left(running, act):
    BacktestRun.objects.filter(pk=running.pk).request_cancel()
    assert act(running) is False
    assert running.acknowledge_cancel()
    assert reread(running).status == "cancelled"


def test_acknowledge_without_a_cancellation_changes_nothing(running):
    assert running.acknowledge_cancel() is False
    assert reread(running).status == "running"


@pytest.mark.parametrize("act", [finish, lambda run: run.fail("internal", {}), lambda run: run.beat()])
def test_a_finished_run_changes_no_more(running, act):
    finish(running)
    assert act(running) is False
    assert reread(running).status == "succeeded"


def test_cancel_of_a_queued_run_is_immediate(owner):
    run = build_run(owner)
    assert BacktestRun.objects.filter(pk=run.pk).request_cancel() == 1
    row = reread(run)
    assert (row.status, row.cancel_requested) == ("cancelled", True)
    assert row.finished_at is not None


def test_cancel_of_a_running_run_waits_for_its_beat(running):
    assert BacktestRun.objects.filter(pk=running.pk).request_cancel() == 1
    assert reread(running).status == "running"
    assert running.beat() is False


def test_cancel_of_a_finished_run_changes_nothing(running):
    finish(running)
    assert BacktestRun.objects.filter(pk=running.pk).request_cancel() == 0
    assert reread(running).cancel_requested is False


def test_sets_of_runs_say_what_their_names_say(owner, stranger, running):
    queued, done = build_run(owner), build_run(owner, status="failed")
    foreign = build_run(stranger)
    runs = BacktestRun.objects
    assert set(runs.visible_to(owner)) == {queued, done, running}
    assert set(runs.active()) == {queued, running, foreign}
    assert set(runs.finished()) == {done}
    assert set(runs.waiting()) == {queued, foreign}
    assert set(runs.in_flight()) == {running}
    runs.filter(pk=queued.pk).update(dispatched_at=Now() - Value(timedelta(seconds=20)))
    assert set(runs.waiting()) == {foreign}
    assert set(runs.in_flight()) == {running, queued}
    assert set(runs.overdue(timedelta(seconds=10))) == {queued}
    assert set(runs.overdue(timedelta(seconds=30))) == set()
    expire(running)
    assert set(runs.in_flight()) == {queued}


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "running"},
        {"status": "succeeded", "finished_at": timezone.now()},
        {"status": "succeeded", "result_hash": "f", "artifact_dir": "a/b"},
        {"status": "failed", "finished_at": timezone.now()},
        {"status": "cancelled", "finished_at": timezone.now()},
        {"failure_code": "internal"},
        {"result_hash": "f"},
        {"lease_until": timezone.now()},
        {"finished_at": timezone.now()},
        {"to_ms": 0},
        {
            "status": "succeeded",
            "finished_at": timezone.now(),
            "result_hash": "f",
            "artifact_dir": "a/b",
            "cancel_requested": True,
        },
    ],
)
def test_the_database_refuses_states_that_cannot_be(owner, wrong):
    run = build_run(owner)
    with pytest.raises(IntegrityError), transaction.atomic():
        BacktestRun.objects.filter(pk=run.pk).update(**wrong)
