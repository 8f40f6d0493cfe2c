"""Staff see every run, cancel what goes on, queue again what failed; nobody edits a life by hand."""

import pytest
from django.urls import reverse

from backtests.models import BacktestRun
from tests.builders import build_run

pytestmark = pytest.mark.django_db
LIST = "admin:backtests_backtestrun_changelist"


def act(client, action, *runs):
    return client.post(
        reverse(LIST), {"action": action, "_selected_action": [str(run.pk) for run in runs], "post": "yes"}, follow=True
    )


def status_of(run):
    return BacktestRun.objects.get(pk=run.pk).status


def test_the_list_and_a_run_can_be_seen(staff_client, owner):
    run = build_run(owner, status="failed")
    assert str(run.pk) in staff_client.get(reverse(LIST)).content.decode()
    page = staff_client.get(reverse("admin:backtests_backtestrun_change", args=[run.pk]))
    assert page.status_code == 200
    assert "division by zero" in page.content.decode()


def test_nobody_but_staff_sees_it(owner_client):
    assert owner_client.get(reverse(LIST)).status_code == 302


def test_cancel_changes_what_is_active_and_nothing_else(staff_client, owner):
    queued, done = build_run(owner), build_run(owner, status="succeeded")
    answer = act(staff_client, "cancel", queued, done)
    assert "1 of 2 runs are cancelled" in answer.content.decode()
    assert (status_of(queued), status_of(done)) == ("cancelled", "succeeded")


def test_requeue_gives_failed_and_cancelled_runs_a_second_chance(staff_client, owner):
    failed, cancelled = build_run(owner, status="failed", n_lost=3), build_run(owner, status="cancelled")
    running = BacktestRun.objects.claim(build_run(owner).pk)
    done = build_run(owner, status="succeeded")
    answer = act(staff_client, "requeue", failed, cancelled, running, done)
    assert "3 of 4 runs are queued again" in answer.content.decode()
    assert [status_of(run) for run in (failed, cancelled, running, done)] == ["queued", "queued", "queued", "succeeded"]
    assert running.beat() is False
    assert BacktestRun.objects.get(pk=failed.pk).n_lost == 0


def test_only_finished_runs_can_be_deleted(staff_client, owner, hindsight_home):
    queued, done = build_run(owner), build_run(owner, status="failed")
    act(staff_client, "delete_selected", queued, done)
    assert BacktestRun.objects.count() == 2
    act(staff_client, "delete_selected", done)
    assert list(BacktestRun.objects.all()) == [queued]


def test_a_row_cannot_be_edited(staff_client, owner):
    run = build_run(owner)
    staff_client.post(reverse("admin:backtests_backtestrun_change", args=[run.pk]), {"status": "succeeded"})
    assert status_of(run) == "queued"


def test_the_queues_own_tables_can_be_seen(staff_client, db):
    assert staff_client.get(reverse("admin:django_q_ormq_changelist")).status_code == 200
