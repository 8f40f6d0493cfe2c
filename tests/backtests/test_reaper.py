"""The reaper: lost runs run again, but not for ever; files of nobody go away."""

import os
import threading
import time
import uuid
from datetime import timedelta

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db.models import Value
from django.db.models.functions import Now

from backtests import artifacts
from backtests.models import MAX_LOST, BacktestRun
from backtests.operations import housekeeping, reaper
from tests.builders import build_run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def messages(monkeypatch):
    sent = []
    monkeypatch.setattr("backtests.operations.dispatcher.async_task", lambda *args, **options: sent.append(args[1]))
    return sent


@pytest.fixture
def lost(owner):
    run = BacktestRun.objects.claim(build_run(owner).pk)
    expire(run)
    return run


def expire(run):
    BacktestRun.objects.filter(pk=run.pk).update(lease_until=Now() - Value(timedelta(seconds=1)))


def reread(run):
    return BacktestRun.objects.get(pk=run.pk)


def age(run):
    BacktestRun.objects.filter(pk=run.pk).update(created_at=Now() - Value(timedelta(minutes=1)))


def test_a_lost_run_is_queued_again_and_gets_a_message(lost, messages):
    age(lost)
    assert reaper.reap() == reaper.Reaped(n_requeued=1, n_dispatched=1)
    assert (reread(lost).status, reread(lost).n_lost, reread(lost).token) == ("queued", 1, None)
    assert messages == [str(lost.pk)]


def test_a_run_whose_lease_lasts_is_left_alone(owner):
    run = BacktestRun.objects.claim(build_run(owner).pk)
    assert reaper.reap() == reaper.Reaped()
    assert reread(run).status == "running"


def test_a_run_that_is_lost_again_and_again_fails_with_the_cause(lost):
    for _ in range(MAX_LOST - 1):
        reaper.reap()
        expire(BacktestRun.objects.claim(lost.pk))
    assert reaper.reap().n_failed == 1
    row = reread(lost)
    assert (row.status, row.failure_code, row.n_lost, row.attempt) == ("failed", "lost", MAX_LOST, MAX_LOST)
    assert "disappeared 3 times" in row.failure["message"]


def test_giving_back_never_counts_as_a_loss(owner):
    run = build_run(owner)
    for _ in range(MAX_LOST + 2):
        BacktestRun.objects.claim(run.pk).give_back()
    expire(BacktestRun.objects.claim(run.pk))
    reaper.reap()
    assert (reread(run).status, reread(run).n_lost) == ("queued", 1)


def test_a_lost_run_that_was_to_be_cancelled_is_cancelled(lost):
    BacktestRun.objects.filter(pk=lost.pk).request_cancel()
    assert reaper.reap().n_cancelled == 1
    assert reread(lost).status == "cancelled"


def test_reaping_twice_does_nothing_more(lost, messages):
    age(lost)
    reaper.reap()
    assert reaper.reap() == reaper.Reaped()
    assert len(messages) == 1


def make_old_folder(relative):
    folder = artifacts.root() / relative
    folder.mkdir(parents=True)
    os.utime(folder, (time.time() - 7200, time.time() - 7200))
    return folder


def test_old_folders_that_no_row_names_are_swept(owner, hindsight_home):
    run = build_run(owner, status="succeeded")
    result = make_old_folder(run.artifact_dir)
    loser = make_old_folder(f"{run.pk}/2-{uuid.uuid4()}")
    of_nobody = make_old_folder(f"{uuid.uuid4()}/1-{uuid.uuid4()}")
    unfinished = make_old_folder(f"{run.pk}/.unfinished-3-{uuid.uuid4()}")
    recent = artifacts.root() / str(run.pk) / "4-x"
    recent.mkdir()
    assert housekeeping.sweep_artifacts() == 3
    assert recent.is_dir()
    assert not unfinished.exists()
    assert result.is_dir()
    assert not loser.exists()
    assert not of_nobody.exists()


def test_sessions_of_the_past_are_swept(db, hindsight_home):
    for age_s in (-60, 60):
        session = SessionStore()
        session["a"] = 1
        session.set_expiry(-age_s)
        session.save()
    housekeeping.keep_house()
    assert Session.objects.count() == 1


def test_after_an_outage_workers_are_heard_before_they_are_judged(lost):
    assert reaper.reap(may_judge=False) == reaper.Reaped()
    assert reread(lost).status == "running"


def test_the_command_says_what_it_did(lost, hindsight_home, capsys):
    call_command("reap", "--once")
    assert "Requeued 1, failed 0" in capsys.readouterr().out


def test_the_loop_judges_nobody_right_after_an_outage(monkeypatch, hindsight_home):
    stop = threading.Event()
    judged = []

    def reap_now_and_then(*, may_judge):
        judged.append(may_judge)
        if len(judged) == 2:
            time.sleep(0.1)  # the database is away
            raise RuntimeError("no database")
        if len(judged) == 40:
            stop.set()

    monkeypatch.setattr(reaper, "reap", reap_now_and_then)
    monkeypatch.setattr(reaper, "PERIOD_S", 0.01)
    monkeypatch.setattr(reaper, "GRACE_S", 0.1)
    monkeypatch.setattr(reaper.connections, "close_all", lambda: None)
    reaper.Reaper().run_until(stop)
    assert judged[:3] == [True, True, False]
    assert judged[-1] is True


def test_the_loop_survives_an_error(monkeypatch, hindsight_home):
    calls = []
    stop = threading.Event()

    def reap_badly(**_):
        calls.append(1)
        if len(calls) == 3:
            stop.set()
        raise RuntimeError("no database")

    monkeypatch.setattr(reaper, "reap", reap_badly)
    monkeypatch.setattr(reaper, "PERIOD_S", 0.001)
    monkeypatch.setattr(reaper.connections, "close_all", lambda: None)
    reaper.Reaper().run_until(stop)
    assert len(calls) == 3
