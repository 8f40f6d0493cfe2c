"""Runs that end without a result because nobody could vouch for one: no jail, or an account that does not add up."""

import os
from pathlib import Path

import pytest
from django.urls import reverse

from backtests import services, tasks
from backtests.models import BacktestRun
from backtests.runner.jail import layers
from tests.builders import BUY_ONCE, build_candles, build_version

pytestmark = pytest.mark.django_db(transaction=True)
REQUEST = {"market": "usdm", "symbol": "BTCUSDT", "timeframe": "1h", "from": "2025-01-02", "to": "2025-01-09"}
FORGER = (
    BUY_ONCE
    + """
    def on_finish(self):
        import backtests.engine.result as result
        result.EngineResult.result_hash = lambda self: "0" * 64
"""
)


@pytest.fixture
def run_of(owner, hindsight_home, monkeypatch, settings):
    """Requests a run of a source and makes it, as a worker does."""
    monkeypatch.setattr("backtests.operations.dispatcher.async_task", lambda *args, **options: None)
    settings.KERNEL_CACHE = Path(os.environ["NUMBA_CACHE_DIR"])
    build_candles()

    def make(source):
        run = services.request_run(owner, REQUEST, strategy_version=build_version(owner, source))
        tasks.run_backtest(str(run.pk))
        run.refresh_from_db()
        return run

    return make


def page_and_answer(client, run):
    page = client.get(reverse("run_detail", args=[run.pk])).text
    return page, client.get(reverse("api_backtest", args=[run.pk])).json()


def test_an_account_that_does_not_add_up_is_a_state_of_its_own_and_no_result(owner_client, run_of):
    run = run_of(FORGER)
    assert (run.status, run.failure_code) == ("failed", "integrity")
    assert (run.result_hash, run.artifact_dir, run.summary) == ("", "", {})
    page, answer = page_and_answer(owner_client, run)
    assert "The result could not be confirmed" in page
    assert "The run&#x27;s own account and the replay of its orders disagree." in page
    assert '<code class="muted">integrity</code>' in page
    assert (answer["status"], answer["failure"]["code"], answer["metrics"]) == ("failed", "integrity", {})
    assert owner_client.get(reverse("api_backtest_trades", args=[run.pk])).status_code == 409


def test_a_worker_without_a_jail_refuses_and_says_what_is_missing(owner_client, run_of, monkeypatch):
    monkeypatch.setattr(layers, "_choose_layers", layers._choose_layers.__wrapped__)
    monkeypatch.setattr(layers, "find_lack", lambda level: "The kernel has no Landlock.")
    monkeypatch.delenv("HINDSIGHT_JAIL", raising=False)
    started = []
    monkeypatch.setattr("backtests.runner.jailed_run.take_child", lambda *args: started.append(args))
    run = run_of(BUY_ONCE)
    assert (run.status, run.failure_code, run.jail_level) == ("failed", "no_jail", "none")
    assert started == []
    page, answer = page_and_answer(owner_client, run)
    assert "This site cannot run strategies safely now" in page
    assert "The kernel has no Landlock." in answer["failure"]["message"]
    assert not BacktestRun.objects.filter(status="succeeded").exists()


def test_a_worker_whose_jail_was_broken_refuses(run_of, monkeypatch):
    monkeypatch.setattr(layers, "_condemned", ["Attacks got through the jail: PWNED: fork"])
    run = run_of(BUY_ONCE)
    assert run.failure_code == "no_jail"
    assert "PWNED: fork" in run.failure["message"]


def test_a_worker_that_is_told_to_goes_without(run_of, monkeypatch):
    """HINDSIGHT_JAIL=none, which the settings only take in debug mode."""
    monkeypatch.setattr(layers, "_choose_layers", layers._choose_layers.__wrapped__)
    monkeypatch.setenv("HINDSIGHT_JAIL", "none")
    run = run_of(BUY_ONCE)
    assert (run.status, run.jail_level) == ("succeeded", "none")
