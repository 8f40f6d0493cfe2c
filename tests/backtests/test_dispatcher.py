"""The dispatcher: each free worker gets the run that is next, every queued run gets a message, and few get two."""

from datetime import timedelta

import pytest
from django.db.models import Value
from django.db.models.functions import Now
from django_q.brokers import get_broker
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from backtests.models import BacktestRun, WorkerPool
from backtests.operations import dispatcher
from backtests.operations.line import find_places
from tests.backtests.test_claim import race
from tests.builders import build_run, build_version

pytestmark = pytest.mark.django_db

STUDY = BacktestRun.Priority.STUDY


@pytest.fixture(autouse=True)
def _two_workers(db):
    WorkerPool.objects.beat("here:1", 2)


def set_age(run, seconds, column="created_at"):
    BacktestRun.objects.filter(pk=run.pk).update(**{column: Now() - Value(timedelta(seconds=seconds))})


def sent_run_ids():
    return [SignedPackage.loads(message.payload)["args"][0] for message in OrmQ.objects.order_by("id")]


def queue(owner, n, first_age_s=1000, **fields):
    """Queued runs of an owner, the oldest first."""
    version = build_version(owner)
    runs = [build_run(owner, version=version, **fields) for _ in range(n)]
    for i, run in enumerate(runs):
        set_age(run, first_age_s - i)
    return [BacktestRun.objects.get(pk=run.pk) for run in runs]


def start_next():
    """A worker takes the oldest message and claims its run."""
    [(pk, payload)] = get_broker().dequeue()
    run = BacktestRun.objects.claim(SignedPackage.loads(payload)["args"][0])
    get_broker().acknowledge(pk)
    return run


def end(run):
    assert run.fail("strategy_error", {"message": "division by zero"})
    dispatcher.dispatch()


def allow(user, n):
    user.limit_overrides = {"max_concurrent_runs": n}
    user.save()


def test_a_message_carries_the_run_id_and_nothing_else(owner):
    run = build_run(owner)
    dispatcher.dispatch()
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
    build_run(owner)
    dispatcher.dispatch()
    assert SignedPackage.loads(OrmQ.objects.get().payload)["timeout"] == 5000 + settings.QUEUE_MARGIN_S


def test_only_as_many_messages_are_under_way_as_there_are_workers(owner):
    allow(owner, 10)
    queue(owner, 5)
    assert dispatcher.dispatch() == 2
    assert dispatcher.dispatch() == 0
    end(start_next())
    assert len(sent_run_ids()) == 2


def test_workers_of_all_hosts_count_while_they_are_heard_of(owner):
    allow(owner, 10)
    queue(owner, 9)
    WorkerPool.objects.beat("there:1", 3)
    WorkerPool.objects.beat("gone:1", 4)
    WorkerPool.objects.filter(name="gone:1").update(seen_at=Now() - Value(timedelta(seconds=60)))
    assert dispatcher.dispatch() == 5


def test_before_a_pool_has_said_anything_the_settings_count(owner, settings):
    WorkerPool.objects.all().delete()
    settings.N_WORKERS = 1
    queue(owner, 2)
    assert dispatcher.dispatch() == 1


def test_nobody_gets_more_workers_than_the_limits_allow(owner):
    allow(owner, 1)
    _, second = queue(owner, 2)
    assert dispatcher.dispatch() == 1
    assert dispatcher.dispatch() == 0
    end(start_next())
    assert sent_run_ids() == [str(second.pk)]


def test_a_user_with_one_run_waits_for_one_worker_behind_a_thousand_of_another(owner, stranger):
    allow(owner, 100)
    queue(owner, 30)
    dispatcher.dispatch()
    running = [start_next(), start_next()]
    [run] = queue(stranger, 1, first_age_s=1)
    dispatcher.dispatch()
    end(running[0])
    assert sent_run_ids() == [str(run.pk)]


def test_runs_that_somebody_waits_for_come_before_studies(owner, stranger):
    allow(owner, 10)
    queue(owner, 3, priority=STUDY)
    [late] = queue(stranger, 1, first_age_s=1)
    dispatcher.dispatch()
    assert sent_run_ids()[0] == str(late.pk)


def test_users_take_turns(owner, stranger):
    WorkerPool.objects.beat("here:1", 6)
    allow(owner, 10)
    allow(stranger, 10)
    mine, theirs = queue(owner, 4), queue(stranger, 3, first_age_s=100)
    dispatcher.dispatch()
    expected = [mine[0], theirs[0], mine[1], theirs[1], mine[2], theirs[2]]
    assert sent_run_ids() == [str(run.pk) for run in expected]


def test_what_already_runs_counts_as_turns_that_were_had(owner, stranger):
    allow(owner, 10)
    queue(owner, 5)
    dispatcher.dispatch()
    start_next()
    start_next()
    WorkerPool.objects.beat("here:1", 4)
    theirs = queue(stranger, 2, first_age_s=1)
    dispatcher.dispatch()
    assert sent_run_ids() == [str(run.pk) for run in theirs]


def test_a_place_in_the_line_is_where_it_will_be_served(owner, stranger):
    allow(owner, 10)
    mine, theirs = queue(owner, 5), queue(stranger, 1, first_age_s=1)
    dispatcher.dispatch()
    sent = sent_run_ids()
    rest = [run for run in (*mine, *theirs) if str(run.pk) not in sent]
    places = find_places()
    assert [str(pk) for pk, place in places.items() if place <= 2] == sent
    assert {places[run.pk] for run in rest} == {3, 4, 5, 6}
    served = []
    while BacktestRun.objects.waiting().exists():
        end(start_next())
        served = [*served, *(pk for pk in sent_run_ids() if pk not in served and pk not in sent)]
    assert served == [str(pk) for pk, place in places.items() if place > 2]


def test_a_run_whose_message_died_with_its_cluster_gets_another(owner):
    run = build_run(owner)
    dispatcher.dispatch()
    get_broker().dequeue()  # a cluster took it, and was killed
    assert dispatcher.dispatch() == 0
    set_age(run, 30, "dispatched_at")
    assert dispatcher.dispatch() == 1


def test_a_message_that_is_free_to_take_is_not_sent_again(owner):
    run = build_run(owner)
    dispatcher.dispatch()
    set_age(run, 3600, "dispatched_at")
    assert dispatcher.dispatch() == 0


def test_a_message_that_waits_for_a_busy_worker_is_not_sent_again(owner):
    allow(owner, 10)
    runs = queue(owner, 3)
    dispatcher.dispatch()
    start_next()
    start_next()
    WorkerPool.objects.beat("here:1", 3)
    dispatcher.dispatch()
    get_broker().dequeue()  # taken ahead by a cluster
    WorkerPool.objects.beat("here:1", 2)
    set_age(runs[2], 30, "dispatched_at")
    assert dispatcher.dispatch() == 0


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_a_finished_run_gets_no_message(owner, status):
    build_run(owner, status=status)
    assert dispatcher.dispatch() == 0


def test_a_running_run_gets_no_message(owner):
    BacktestRun.objects.claim(build_run(owner).pk)
    assert dispatcher.dispatch() == 0


@pytest.mark.django_db(transaction=True)
def test_of_several_dispatchers_at_the_same_time_only_one_sends(owner):
    WorkerPool.objects.beat("here:1", 3)
    allow(owner, 2)
    queue(owner, 6)
    assert sum(race(4, dispatcher.dispatch)) == 2
    assert len(set(sent_run_ids())) == len(sent_run_ids()) == 2
