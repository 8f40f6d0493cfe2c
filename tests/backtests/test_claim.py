"""Of any number of workers that reach for a run, one gets it."""

import threading
from datetime import timedelta

import pytest
from django.db import connections
from django.db.models import Value
from django.db.models.functions import Now

from backtests.models import MAX_LOST, BacktestRun
from tests.builders import build_run

pytestmark = pytest.mark.django_db


def let_lease_expire(run):
    BacktestRun.objects.filter(pk=run.pk).update(lease_until=Now() - Value(timedelta(seconds=1)))


def race(n_threads, act):
    """Start `act` in threads at the same moment; return what they returned."""
    barrier = threading.Barrier(n_threads)
    results, errors = [], []

    def run():
        try:
            barrier.wait(10)
            results.append(act())
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    return results


def test_claim_gives_a_queued_run_a_token_and_a_lease_of_the_databases_clock(owner):
    claimed = BacktestRun.objects.claim(build_run(owner).pk)

    assert (claimed.status, claimed.attempt, claimed.n_lost) == ("running", 1, 0)
    lease = BacktestRun.objects.annotate(now=Now()).get(pk=claimed.pk)
    assert timedelta(seconds=6) < lease.lease_until - lease.now <= timedelta(seconds=8)
    assert abs(lease.started_at - lease.now) < timedelta(seconds=2)


def test_an_attempt_need_not_ask_the_database_for_more_than_the_claim_gave(owner, django_assert_num_queries):
    run = BacktestRun.objects.claim(build_run(owner).pk)
    with django_assert_num_queries(0):
        assert run.strategy_version.strategy.name
        assert run.strategy_version.source
        assert run.owner.limit_overrides == {}


def test_a_duplicate_message_finds_nothing_to_claim(owner):
    run = build_run(owner)
    assert BacktestRun.objects.claim(run.pk) is not None
    assert BacktestRun.objects.claim(run.pk) is None


def test_claim_of_an_unknown_run_is_nothing(owner):
    assert BacktestRun.objects.claim("7f7f7f7f-0000-4000-8000-000000000000") is None


def test_an_expired_run_can_be_claimed_again_and_the_loss_is_counted(owner):
    first = BacktestRun.objects.claim(build_run(owner).pk)
    let_lease_expire(first)

    second = BacktestRun.objects.claim(first.pk)

    assert (second.attempt, second.n_lost) == (2, 1)
    assert second.token != first.token


def test_a_run_that_was_lost_too_often_is_left_to_the_reaper(owner):
    run = BacktestRun.objects.claim(build_run(owner).pk)
    BacktestRun.objects.filter(pk=run.pk).update(n_lost=MAX_LOST - 1)
    let_lease_expire(run)
    assert BacktestRun.objects.claim(run.pk) is None


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_a_finished_run_cannot_be_claimed(owner, status):
    assert BacktestRun.objects.claim(build_run(owner, status=status).pk) is None


@pytest.mark.django_db(transaction=True)
def test_of_racing_claims_exactly_one_gets_the_queued_run(owner):
    for _ in range(5):
        run = build_run(owner)
        claims = race(4, lambda run=run: BacktestRun.objects.claim(run.pk))
        winners = [claim for claim in claims if claim is not None]
        assert len(claims) == 4
        assert len(winners) == 1
        assert BacktestRun.objects.get(pk=run.pk).token == winners[0].token


@pytest.mark.django_db(transaction=True)
def test_of_racing_claims_exactly_one_gets_the_expired_run(owner):
    for _ in range(5):
        run = BacktestRun.objects.claim(build_run(owner).pk)
        let_lease_expire(run)
        claims = race(4, lambda run=run: BacktestRun.objects.claim(run.pk))
        assert sum(claim is not None for claim in claims) == 1
        assert BacktestRun.objects.get(pk=run.pk).n_lost == 1


@pytest.mark.django_db(transaction=True)
def test_a_claim_and_a_cancellation_at_the_same_time_never_lose_the_cancellation(owner):
    for _ in range(5):
        run = build_run(owner)
        acts = iter(
            [
                lambda run=run: BacktestRun.objects.claim(run.pk),
                lambda run=run: BacktestRun.objects.filter(pk=run.pk).request_cancel(),
            ]
        )
        race(2, lambda acts=acts: next(acts)())
        run.refresh_from_db()
        assert run.cancel_requested
        assert run.status in ("cancelled", "running")
