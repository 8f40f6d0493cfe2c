"""The last result of each strategy, as the list of strategies shows it."""

import pytest
from django.urls import reverse

from tests.backtests.finished_runs import build_finished_run
from tests.builders import build_candles, build_run, build_version


@pytest.fixture
def finished(owner, hindsight_home):
    build_candles()
    return build_finished_run(owner)


def latest(client, *strategies):
    return client.get(reverse("run_latest"), {"strategy": [str(strategy) for strategy in strategies]})


def test_the_list_of_strategies_asks_for_the_last_results_of_what_it_shows(owner_client, finished):
    strategy = finished.strategy_version.strategy
    page = owner_client.get(reverse("strategy_list")).text
    assert f"{reverse('run_latest')}?strategy={strategy.pk}" in page
    assert f'id="latest-{strategy.pk}"' in page
    assert f'id="latest-{strategy.pk}" hx-swap-oob="true"' in latest(owner_client, strategy.pk).text


def test_a_later_run_without_a_result_leaves_the_last_result(owner_client, finished):
    version = finished.strategy_version
    build_run(finished.owner, "failed", version=version)
    build_run(finished.owner, version=version)
    answer = latest(owner_client, version.strategy_id).text
    assert reverse("run_detail", args=[finished.pk]) in answer
    assert answer.count("<a ") == 1


def test_a_strategy_without_a_result_gets_nothing(owner_client, owner):
    assert "<span" not in latest(owner_client, build_version(owner).strategy_id).text


def test_strangers_get_nothing_of_mine(stranger_client, anonymous, finished):
    strategy = finished.strategy_version.strategy_id
    assert "<span" not in latest(stranger_client, strategy).text
    assert latest(anonymous, strategy).status_code == 302


def test_nonsense_finds_nothing(owner_client):
    assert latest(owner_client, "a", "1' OR 1=1").status_code == 200
