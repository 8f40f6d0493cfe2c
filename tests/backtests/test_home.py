import pytest
from django.urls import reverse

from backtests.models import BacktestRun
from strategies.models import Strategy
from tests.backtests.finished_runs import build_finished_run
from tests.builders import build_candles, build_run

HOME = "/"
SAMPLE = reverse("run_sample")


def test_strangers_to_the_site_see_what_it_is_and_where_to_sign_up(anonymous, db):
    page = anonymous.get(HOME)
    assert page.status_code == 200
    assert reverse("account_signup") in page.text
    assert reverse("account_login") in page.text


def test_an_empty_dashboard_offers_the_sample(owner_client, hindsight_home):
    build_candles()
    page = owner_client.get(HOME)
    assert "Run the sample" in page.text
    assert SAMPLE in page.text


def test_without_candles_the_dashboard_says_so_and_offers_no_sample(owner_client, hindsight_home):
    page = owner_client.get(HOME)
    assert "no candles" in page.text
    assert SAMPLE not in page.text


def test_the_dashboard_shows_figures_of_the_latest_results_of_the_user_alone(
    owner_client, stranger_client, owner, hindsight_home
):
    build_candles()
    run = build_finished_run(owner)
    assert str(run.pk) in owner_client.get(HOME).text
    assert "Max drawdown" in owner_client.get(HOME).text
    assert str(run.pk) not in stranger_client.get(HOME).text


def test_the_list_polls_while_something_runs_and_then_stops(owner_client, owner):
    run = build_run(owner)
    assert 'hx-trigger="every 2s"' in owner_client.get(HOME).text
    claimed = BacktestRun.objects.claim(run.pk)
    assert 'hx-trigger="every 1s"' in owner_client.get(HOME).text
    claimed.fail("strategy_error", {"message": "no"})
    fragment = owner_client.get(HOME, headers={"HX-Request": "true"})
    assert "hx-trigger" not in fragment.text
    assert "<html" not in fragment.text


def test_the_sample_copies_the_strategy_starts_a_run_and_opens_its_page(owner_client, owner, hindsight_home):
    build_candles()
    answer = owner_client.post(SAMPLE)
    run = BacktestRun.objects.get(owner=owner)
    assert answer.url == reverse("run_detail", args=[run.pk])
    assert run.status == "queued"
    assert run.strategy_version.strategy.name == "SMA crossover"


def test_a_second_sample_uses_the_same_copy(owner_client, owner, hindsight_home):
    build_candles()
    owner_client.post(SAMPLE)
    owner_client.post(SAMPLE)
    assert Strategy.objects.visible_to(owner).count() == 1
    assert BacktestRun.objects.visible_to(owner).count() == 2


def test_the_sample_without_candles_explains_itself(owner_client, owner, hindsight_home):
    answer = owner_client.post(SAMPLE, follow=True)
    assert "no candles" in answer.text
    assert not BacktestRun.objects.exists()


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_the_sample_starts_by_post_alone(owner_client, method):
    assert getattr(owner_client, method)(SAMPLE).status_code == 405


def test_the_sample_needs_a_user(anonymous, db):
    answer = anonymous.post(SAMPLE)
    assert answer.status_code == 302
    assert answer.url.startswith(reverse("account_login"))
