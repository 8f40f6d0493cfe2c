import pytest
from django.urls import reverse

from backtests.models import BacktestRun
from tests.backtests.finished_runs import build_finished_run
from tests.builders import build_candles, build_run

FRAGMENT = {"HX-Request": "true"}


def cancel(client, run, **more):
    return client.post(reverse("run_cancel", args=[run.pk]), **more)


def test_a_queued_run_is_cancelled_at_once(owner_client, owner):
    run = build_run(owner)
    assert cancel(owner_client, run).url == reverse("run_detail", args=[run.pk])
    run.refresh_from_db()
    assert run.status == "cancelled"


def test_a_running_run_shows_that_it_is_being_cancelled(owner_client, owner):
    run = build_run(owner)
    BacktestRun.objects.claim(run.pk)
    fragment = cancel(owner_client, run, headers=FRAGMENT)
    run.refresh_from_db()
    assert run.cancel_requested
    assert "Cancelling" in fragment.text
    assert 'hx-trigger="every 250ms"' in fragment.text  # it is asked again


def test_cancel_of_a_finished_run_changes_nothing_and_says_so(owner_client, owner):
    run = build_run(owner, "failed")
    answer = cancel(owner_client, run, follow=True)
    run.refresh_from_db()
    assert run.status == "failed"
    assert "had finished before" in answer.text


def test_strangers_and_anonymous_cannot_cancel(stranger_client, anonymous, owner):
    run = build_run(owner)
    assert cancel(stranger_client, run).status_code == 404
    assert cancel(anonymous, run).status_code == 302
    run.refresh_from_db()
    assert run.status == "queued"


@pytest.mark.parametrize("name", ["run_cancel", "run_delete"])
def test_nothing_changes_by_get(owner_client, owner, name):
    run = build_run(owner)
    assert owner_client.get(reverse(name, args=[run.pk])).status_code == 405


def test_delete_removes_run_and_files(owner_client, owner, hindsight_home):
    build_candles()
    run = build_finished_run(owner)
    folder = hindsight_home / "artifacts" / str(run.pk)
    assert folder.is_dir()
    assert owner_client.post(reverse("run_delete", args=[run.pk])).url == reverse("run_list")
    assert not BacktestRun.objects.filter(pk=run.pk).exists()


def test_an_active_run_is_not_deleted(owner_client, owner):
    run = build_run(owner)
    answer = owner_client.post(reverse("run_delete", args=[run.pk]), follow=True)
    assert "Cancel it first" in answer.text
    assert BacktestRun.objects.filter(pk=run.pk).exists()


def test_strangers_cannot_delete(stranger_client, owner):
    run = build_run(owner, "failed")
    assert stranger_client.post(reverse("run_delete", args=[run.pk])).status_code == 404
    assert BacktestRun.objects.filter(pk=run.pk).exists()
