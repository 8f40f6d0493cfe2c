"""Of several saves at the same moment one wins and the others hear of it; a quota is not passed by being quick."""

import threading

import pytest
from django.db import connections

from strategies import services
from strategies.services import StrategyError, VersionConflict

N = 6


def at_once(act):
    """Call act(i) in N threads at the same moment; return what came back or was raised."""
    barrier = threading.Barrier(N)
    results = []

    def run(i):
        try:
            barrier.wait(10)
            results.append(act(i))
        except Exception as error:
            results.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[i]) for i in range(N)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == N
    return results


@pytest.mark.django_db(transaction=True)
def test_of_many_saves_on_one_version_one_is_kept_and_the_others_are_conflicts(owner):
    strategy = services.create_strategy(owner, "Mine", "# first\n").strategy
    results = at_once(lambda i: services.save_version(strategy, f"# text {i}\n", based_on=1))
    conflicts = [result for result in results if isinstance(result, VersionConflict)]
    assert len(conflicts) == N - 1
    assert {conflict.latest.number for conflict in conflicts} == {2}
    assert strategy.versions.count() == 2


@pytest.mark.django_db(transaction=True)
def test_saves_that_name_no_base_are_all_kept_in_some_order(owner):
    strategy = services.create_strategy(owner, "Mine", "# first\n").strategy
    at_once(lambda i: services.save_version(strategy, f"# text {i}\n"))
    assert sorted(strategy.versions.values_list("number", flat=True)) == list(range(1, N + 2))


@pytest.mark.django_db(transaction=True)
def test_the_last_place_is_given_once(owner):
    owner.limit_overrides = {"max_strategies": 2}
    owner.save()
    results = at_once(lambda i: services.create_strategy(owner, f"Number {i}", "# text\n"))
    assert sum(isinstance(result, StrategyError) for result in results) == N - 2
    assert owner.strategies.count() == 2


@pytest.mark.django_db(transaction=True)
def test_copies_of_a_sample_made_at_once_get_names_of_their_own(owner):
    results = at_once(lambda i: services.copy_example(owner, "buy_and_hold"))
    assert sorted(version.strategy.name for version in results) == [
        "Buy and hold",
        *(f"Buy and hold {i}" for i in range(2, N + 1)),
    ]
