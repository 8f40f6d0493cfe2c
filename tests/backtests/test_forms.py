"""The same bad requests through the page and through the API are refused for the same reason at the same field."""

import json

import pytest
from django.urls import reverse

from backtests.models import BacktestRun
from tests.builders import build_candles, build_run, build_version

GOOD = {"market": "usdm", "symbol": "BTCUSDT", "timeframe": "1h", "from": "2025-01-01", "to": "2025-02-01"}
SCHEMA = [{"name": "fast", "type": "int", "default": 10, "min": 2, "max": 50, "step": 2, "choices": None}]

BAD = [
    ({"market": "bonds"}, "market", "unknown_choice"),
    ({"market": ""}, "market", "unknown_choice"),
    ({"symbol": ""}, "symbols", "missing"),
    ({"symbol": "BTC/USD"}, "symbols", "unknown_symbol"),
    ({"symbol": "ETHUSDT"}, None, None),
    ({"timeframe": "7m"}, "timeframe", "unknown_timeframe"),
    ({"timeframe": "30m"}, "timeframe", "no_such_series"),
    ({"from": "yesterday"}, "from", "not_a_time"),
    ({"from": ""}, "from", "missing"),
    ({"to": "2025-01-01"}, "to", "empty_span"),
    ({"to": "1900-01-01"}, "to", "out_of_range"),
    ({"from": "2019-01-01"}, None, None),
    ({"leverage": "0.5"}, "leverage", "out_of_range"),
    ({"leverage": "126"}, "leverage", "out_of_range"),
    ({"leverage": "NaN"}, "leverage", "out_of_range"),
    ({"leverage": "many"}, "leverage", "not_a_number"),
    ({"initial_balance": "0"}, "initial_balance", "out_of_range"),
    ({"initial_balance": "-5"}, "initial_balance", "out_of_range"),
    ({"taker_fee": "0.5"}, "taker_fee", "out_of_range"),
    ({"maker_fee": "x"}, "maker_fee", "not_a_number"),
    ({"slippage_bps": "-1"}, "slippage_bps", "out_of_range"),
    ({"fill": "yesterday"}, "fill", "unknown_choice"),
    ({"funding": "perhaps"}, "funding", "not_yes_or_no"),
    ({"seed": "1.5"}, "seed", "not_whole"),
    ({"margin_mode": "mixed"}, "margin_mode", "unknown_choice"),
    ({"max_leverage": "0"}, "max_leverage", "out_of_range"),
    ({"max_leverage": "2", "leverage": "3"}, "leverage", "leverage_above_limit"),
    ({"path": "random"}, "path", "unknown_choice"),
    ({"limit_fill": "never"}, "limit_fill", "unknown_choice"),
    ({"participation_cap": "0"}, "participation_cap", "out_of_range"),
    ({"participation_cap": "10 %"}, "participation_cap", "not_a_number"),
    ({"intrabar_timeframe": "7m"}, "intrabar_timeframe", "unknown_timeframe"),
    ({"intrabar_timeframe": "1h"}, "intrabar_timeframe", "not_finer"),
    ({"intrabar_timeframe": "1m"}, "intrabar_timeframe", "no_such_series"),
    ({"warmup_bars": "-1"}, "warmup_bars", "out_of_range"),
    ({"nonsense": "1"}, "nonsense", "unknown_field"),
    ({"limits": {"max_orders": "500001"}}, "limits.max_orders", "above_plan"),
    ({"limits": {"run_cpu_s": "611"}}, "limits.run_cpu_s", "above_plan"),
    ({"limits": {"run_memory_mb": "63"}}, "limits.run_memory_mb", "out_of_range"),
    ({"limits": {"run_wall_clock_s": "soon"}}, "limits.run_wall_clock_s", "not_a_number"),
    ({"limits": {"run_wall_clock_s": "1.5"}}, "limits.run_wall_clock_s", "not_whole"),
    ({"limits": {"max_strategies": "1"}}, "limits.max_strategies", "unknown_limit"),
    ({"strategy": ""}, "strategy", "missing"),
    ({"strategy": "8f14e45f-0000-0000-0000-000000000000"}, "strategy", "unknown_strategy"),
    ({"strategy": "nonsense"}, "strategy", "unknown_strategy"),
    ({"version": "99"}, "version", "unknown_version"),
    ({"params": {"fast": "99"}}, "params.fast", "out_of_range"),
    ({"params": {"fast": "2.5"}}, "params.fast", "not_whole"),
    ({"params": {"slow": "5"}}, "params.slow", "unknown_param"),
]


@pytest.fixture
def version(owner, hindsight_home):
    build_candles()
    return build_version(owner, param_schema=SCHEMA)


def through_page(client, raw):
    params = {f"param_{name}": value for name, value in raw.pop("params", {}).items()}
    limits = {f"limits_{name}": value for name, value in raw.pop("limits", {}).items()}
    page = client.post(reverse("run_new"), {**raw, **params, **limits})
    assert page.status_code == 422, page.status_code
    ((field, codes),) = page.context["form"].error_codes.items()
    return field, codes[0], page


def through_api(client, raw):
    answer = client.post(reverse("api_backtest_list"), json.dumps(raw), content_type="application/json")
    assert answer.status_code == 400, answer.content
    return answer.json()


@pytest.mark.parametrize(("change", "field", "code"), BAD)
def test_page_and_api_refuse_alike(owner_client, version, change, field, code):
    raw = {**GOOD, "strategy": str(version.strategy_id), **change}
    refusal = through_api(owner_client, raw)
    shown_at, shown_code, page = through_page(owner_client, dict(raw))
    assert set(refusal) == {"field", "code", "message"}
    assert shown_code == refusal["code"]
    if code is not None:
        assert (refusal["field"], refusal["code"]) == (field, code)
    page_names = {"symbols": "symbol", "params.fast": "param_fast"}
    expected = page_names.get(refusal["field"], refusal["field"]).replace("limits.", "limits_")
    visible = expected in page.context["form"].fields and not page.context["form"].fields[expected].widget.is_hidden
    assert shown_at == (expected if visible else "__all__")
    assert not BacktestRun.objects.exists()


def test_too_many_runs_are_refused_alike(owner_client, owner, version):
    owner.limit_overrides = {"max_queued_runs": 1}
    owner.save()
    build_run(owner)
    raw = {**GOOD, "strategy": str(version.strategy_id)}
    refusal = through_api(owner_client, raw)
    field, code, _ = through_page(owner_client, raw)
    assert (refusal["field"], refusal["code"]) == ("", "too_many_runs")
    assert (field, code) == ("__all__", "too_many_runs")


def test_page_and_api_make_the_same_request(owner_client, version):
    build_candles(timeframe="15m", n_bars=4 * 24 * 31)
    raw = {**GOOD, "strategy": str(version.strategy_id), "leverage": "3", "fill": "next_open", "seed": "7",
           "max_leverage": "20", "path": "optimistic", "limit_fill": "through", "intrabar_timeframe": "15m",
           "warmup_bars": "5"}  # fmt: skip
    body = {**raw, "leverage": 3, "seed": 7, "max_leverage": 20, "warmup_bars": 5, "params": {"fast": 20}}
    answer = owner_client.post(reverse("api_backtest_list"), json.dumps(body), content_type="application/json")
    assert answer.status_code == 201
    assert owner_client.post(reverse("run_new"), {**raw, "param_fast": "20"}).status_code == 302
    first, second = BacktestRun.objects.all()
    assert first.request == second.request
    assert first.data_revision == second.data_revision
