"""Limits that one run asks for: through every door, stored, shown, and each one ends the run in its own name."""

import json
from dataclasses import fields, replace

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from accounts.quotas import Limits
from backtests import services
from backtests.engine.errors import RequestError
from backtests.engine.request import RUN_LIMITS, RunMode
from backtests.models import BacktestRun
from backtests.presentation.limits import LIMIT_NAMES, say_limits
from backtests.runner.execute import execute
from tests.backtests.test_runner_execute import body_job
from tests.builders import BUY_ONCE, build_candles, build_version

GOOD = {"market": "usdm", "symbol": "BTCUSDT", "timeframe": "1h", "from": "2025-01-01", "to": "2025-02-01"}
PLAN = Limits()
LONG_LINE = "x" * 1_000

# What is asked for, the strategy that needs more, the failure's code, and what its message says was allowed and used.
BREACHES = [
    ("run_wall_clock_s", 1, "while True: pass", "time_limit", ("than 1 s", "(1.")),
    ("run_cpu_s", 1, "while True: pass", "cpu_limit", ("than 1 s", "of processor time (")),
    ("run_memory_mb", 64, "self.kept = np.ones(2**27)", "memory_limit", ("at most 64 MB", "the process held")),
    ("max_orders", 7, "self.buy(0.01)", "order_limit", ("at most 7 orders", "this is 8")),
    ("max_log_bytes", 500, "self.log('x' * 100)", "log_limit", ("at most 500 bytes", "this is ")),
    ("max_plot_points", 20, "self.plot('a', 1.0)", "plot_limit", ("at most 20 points", "this is 21")),
    ("max_output_bytes", 5_000, f"print('{LONG_LINE}')", "output_limit", ("at most 5,000 bytes", "this is ")),
]


def test_every_limit_that_a_run_may_ask_for_is_one_of_the_plan_and_has_words():
    assert set(RUN_LIMITS) <= {field.name for field in fields(Limits)}
    assert set(RUN_LIMITS) == set(LIMIT_NAMES) == {name for name, *_ in BREACHES}


@pytest.mark.parametrize("mode", RunMode)
@pytest.mark.parametrize(("name", "asked", "body", "code", "words"), BREACHES)
def test_a_run_ends_at_the_limit_it_asked_for(name, asked, body, code, words, mode):
    job = body_job(body, limits=PLAN)
    failure = execute(replace(job, request=replace(job.request, limits={name: asked}, mode=mode))).failure
    assert failure is not None
    assert failure.code == code, failure.message
    for text in words:
        assert text in failure.message


def test_the_lower_of_plan_and_request_holds():
    lowered = Limits(max_orders=10, run_wall_clock_s=60).lowered({"max_orders": 20, "run_wall_clock_s": 5})
    assert (lowered.max_orders, lowered.run_wall_clock_s) == (10, 5)
    assert lowered.cpu_s == 15
    assert Limits(run_wall_clock_s=60).lowered({"run_cpu_s": 100}).cpu_s == 70


@pytest.fixture
def version(owner, hindsight_home):
    build_candles()
    return build_version(owner)


def test_page_and_api_store_the_same_limits(owner_client, version):
    raw = {**GOOD, "strategy": str(version.strategy_id)}
    owner_client.post(reverse("run_new"), {**raw, "limits_max_orders": "100", "limits_run_memory_mb": ""})
    answer = owner_client.post(
        reverse("api_backtest_list"), json.dumps({**raw, "limits": {"max_orders": 100}}), "application/json"
    )
    assert answer.json()["request"]["limits"] == {"max_orders": 100}
    assert [run.request["limits"] for run in BacktestRun.objects.all()] == [{"max_orders": 100}] * 2


def test_more_than_the_plan_allows_is_refused_with_what_it_allows(owner, version):
    owner.limit_overrides = {"run_wall_clock_s": 90}
    for name, allowed in (("run_wall_clock_s", "90"), ("run_cpu_s", "100"), ("max_orders", "500,000")):
        with pytest.raises(RequestError, match=f"at most {allowed}") as refused:
            services.request_run(owner, {**GOOD, "limits": {name: 600_000}}, strategy_version=version)
        assert (refused.value.field, refused.value.code) == (f"limits.{name}", "above_plan")
    services.request_run(owner, {**GOOD, "limits": {"run_wall_clock_s": 90}}, strategy_version=version)


def test_the_form_shows_the_plan_and_keeps_what_was_typed(owner_client, owner, version):
    owner.limit_overrides = {"max_orders": 1_234}
    owner.save()
    page = owner_client.get(reverse("run_new"), {"limits_run_memory_mb": "100"})
    form = page.context["form"]
    assert form["limits_max_orders"].help_text == "At most 1,234."
    assert form["limits_run_memory_mb"].value() == "100"
    assert form.limit_text == "Memory beside the libraries 100 MB"
    refused = owner_client.post(
        reverse("run_new"), {**GOOD, "strategy": str(version.strategy_id), "limits_max_orders": "2000"}
    )
    assert refused.status_code == 422
    assert "at most 1,234" in refused.text
    assert refused.context["form"].has_limit_errors


def test_the_page_of_a_failed_run_shows_the_limits_it_asked_for(owner_client, owner, version):
    run = services.request_run(owner, {**GOOD, "limits": {"max_orders": 5}}, strategy_version=version)
    BacktestRun.objects.filter(pk=run.pk).update(
        status="failed", failure_code="order_limit", failure={"message": "too many"}, finished_at=run.created_at
    )
    page = owner_client.get(reverse("run_detail", args=[run.pk])).text
    assert "Limits asked for" in page
    assert "Orders 5" in page


def test_the_command_takes_limits_and_its_result_repeats_them(version, tmp_path, capsys, owner, owner_client):
    file = tmp_path / "buy_once.py"
    file.write_text(BUY_ONCE)
    words = [str(file)]
    for name in ("market", "symbol", "timeframe", "from", "to"):
        words += [f"--{name}", GOOD[name]]
    with pytest.raises(CommandError, match=r"--limit max_orders: .*at most 500,000"):
        call_command("run_backtest", *words, "--limit", "max_orders=500001")
    call_command("run_backtest", *words, "--limit", "max_orders=100", "--save-for", owner.email)
    run = BacktestRun.objects.latest("created_at")
    assert run.request["limits"] == {"max_orders": 100}
    page = owner_client.get(reverse("run_detail", args=[run.pk]), {"tab": "reproducibility"}).text
    assert "--limit max_orders=100" in page
    assert "Orders 100" in page


def test_limits_in_words():
    assert say_limits({"max_orders": 5_000, "run_wall_clock_s": 30}) == "Wall clock 30 s, orders 5,000"
    assert say_limits({}) == ""
