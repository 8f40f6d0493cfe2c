"""The benchmark of a click reads pages as a browser does: it must find in them what it looks for."""

import pytest
from django.urls import reverse

from benchmarks import click
from benchmarks.jail import Round, describe
from tests.backtests.finished_runs import build_finished_run
from tests.builders import build_candles, build_run


@pytest.fixture
def finished(owner, hindsight_home):
    build_candles()
    return build_finished_run(owner)


def test_the_form_carries_the_token_that_a_click_sends(owner_client):
    assert click.TOKEN.search(owner_client.get(reverse("run_new")).text)


def test_the_page_of_a_live_run_says_what_to_ask_and_how_often(owner_client, owner, hindsight_home):
    run = build_run(owner)
    found = click.PATH.search(owner_client.get(reverse("run_detail", args=[run.pk])).text)
    assert found.groups() == (reverse("run_live", args=[run.pk]), "250", "ms")


def test_the_page_of_a_result_has_numbers_and_a_chart(owner_client, finished):
    page = owner_client.get(reverse("run_detail", args=[finished.pk])).text
    assert click.NUMBERS in page
    assert click.PATH.search(page) is None
    address, first, last = click.CHART.search(page).groups()
    assert address.startswith(reverse("run_chart", args=[finished.pk]))
    assert int(first) < int(last)


def test_the_overhead_is_the_whole_less_engine_and_replay():
    rounds = [Round(engine_s=0.4, total_s=0.7, replay_s=0.1, handover_s=0.03)]
    assert rounds[0].overhead_s == pytest.approx(0.2)
    wall = describe("x", "full", rounds).split()[2:9]
    assert wall == ["400", "700", "100", "30", "200", "160", "200"]
    assert describe("x", "full", rounds).endswith("missed")
    assert describe("x", "full", [Round(0.4, 0.65, 0.1, 0.03)]).endswith("met")
