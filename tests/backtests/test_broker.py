"""The broker: the database's clock decides, whatever the hosts' clocks say, and a broken connection ends nothing."""

import datetime as dt

import pytest
from django.db import OperationalError
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.models import OrmQ

from backtests.operations import broker as broker_module
from backtests.operations.broker import DatabaseBroker
from tests.backtests.test_claim import race

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker():
    return get_broker()


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_host_with_a_wrong_clock_sends_and_takes_like_any_other(broker, monkeypatch, minutes):
    true_now = timezone.now
    monkeypatch.setattr("django.utils.timezone.now", lambda: true_now() + dt.timedelta(minutes=minutes))
    broker.enqueue("from a wrong clock")
    monkeypatch.undo()
    [(_, payload)] = broker.dequeue()
    assert payload == "from a wrong clock"
    monkeypatch.setattr("django.utils.timezone.now", lambda: true_now() + dt.timedelta(minutes=minutes))
    assert broker.dequeue() is None
    assert (broker.queue_size(), broker.lock_size()) == (0, 1)


def test_the_site_uses_it(broker):
    assert isinstance(broker, DatabaseBroker)


def test_messages_leave_in_the_order_of_their_arrival(broker):
    for text in "abc":
        broker.enqueue(text)
    assert [broker.dequeue()[0][1] for _ in range(3)] == ["a", "b", "c"]


def test_an_acknowledged_message_is_gone(broker):
    broker.enqueue("a")
    [(pk, _)] = broker.dequeue()
    broker.acknowledge(pk)
    assert not OrmQ.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_several_clusters_one_gets_a_message(broker):
    for _ in range(3):
        broker.enqueue("a")
        taken = race(4, lambda: get_broker().dequeue())
        assert len([messages for messages in taken if messages]) == 1


def test_a_database_that_does_not_answer_is_waited_for(broker, monkeypatch):
    def fail(*_):
        raise OperationalError("the database system is starting up")

    monkeypatch.setattr(broker_module, "RETRY_S", 0.0)
    monkeypatch.setattr(DatabaseBroker, "_messages", fail)
    monkeypatch.setattr(broker_module.connection, "close", lambda: None)
    assert broker.dequeue() is None
