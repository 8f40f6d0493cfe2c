"""The dispatcher: every queued run has a message, and few have two."""

from datetime import timedelta

import pytest
from django.db.models import Value
from django.db.models.functions import Now
from django_q.brokers import get_broker
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from backtests.models import BacktestRun
from backtests.operations import dispatcher
from tests.builders import build_run

pytestmark = pytest.mark.django_db


def set_age(run, seconds, column="created_at"):
    BacktestRun.objects.filter(pk=run.pk).update(**{column: Now() - Value(timedelta(seconds=seconds))})


def sent_run_ids():
    return [SignedPackage.loads(message.payload)["args"][0] for message in OrmQ.objects.order_by("id")]


def test_a_message_carries_the_run_id_and_nothing_else(owner, settings):
    run = build_run(owner)
    dispatcher.dispatch(run.pk)
    message = SignedPackage.loads(OrmQ.objects.get().payload)
    assert (message["func"], message["args"], message["kwargs"]) == (
        "backtests.tasks.run_backtest",
        (str(run.pk),),
        {},
    )
    assert BacktestRun.objects.get().dispatched_at is not None


def test_the_queues_time_limit_lies_above_the_runs(owner, settings):
    owner.limit_overrides = {"run_wall_clock_s": 5000}
    owner.save()
    dispatcher.dispatch(build_run(owner).pk)
    assert SignedPackage.loads(OrmQ.objects.get().payload)["timeout"] == 5000 + settings.QUEUE_MARGIN_S


def test_a_queued_run_that_was_never_dispatched_gets_its_message_after_a_grace(owner):
    run = build_run(owner)
    assert dispatcher.dispatch_pending() == 0
    set_age(run, 5)
    assert dispatcher.dispatch_pending() == 1
    assert dispatcher.dispatch_pending() == 0
    assert sent_run_ids() == [str(run.pk)]


def test_a_run_whose_message_died_with_its_cluster_gets_another(owner):
    run = build_run(owner)
    dispatcher.dispatch(run.pk)
    get_broker().dequeue()  # a cluster took it, and was killed
    assert dispatcher.dispatch_pending() == 0
    set_age(run, 30, "dispatched_at")
    assert dispatcher.dispatch_pending() == 1


def test_a_run_that_waits_in_line_is_not_sent_again(owner):
    run = build_run(owner)
    dispatcher.dispatch(run.pk)
    set_age(run, 3600, "dispatched_at")
    assert dispatcher.dispatch_pending() == 0


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_a_finished_run_gets_no_message(owner, status):
    set_age(build_run(owner, status=status), 60)
    assert dispatcher.dispatch_pending() == 0


def test_a_running_run_gets_no_message(owner):
    run = BacktestRun.objects.claim(build_run(owner).pk)
    set_age(run, 60)
    assert dispatcher.dispatch_pending() == 0
