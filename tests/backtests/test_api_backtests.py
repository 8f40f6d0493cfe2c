import json
from dataclasses import fields

import pytest
from django.urls import reverse
from drf_spectacular.generators import SchemaGenerator

from backtests.engine.metrics import METRICS
from backtests.engine.request import RunRequest
from backtests.models import BacktestRun
from tests.backtests.finished_runs import build_finished_run
from tests.builders import build_candles, build_run, build_version

LIST = reverse("api_backtest_list")
GOOD = {"market": "usdm", "symbol": "BTCUSDT", "timeframe": "1h", "from": "2025-01-01", "to": "2025-02-01"}


def address(run, name="api_backtest"):
    return reverse(name, args=[run.pk])


@pytest.fixture
def version(owner, hindsight_home):
    build_candles()
    return build_version(owner)


@pytest.fixture
def finished(owner, version):
    return build_finished_run(owner, version=version, n_trades=30)


def test_a_run_is_created_with_its_location(owner_client, version):
    body = json.dumps({**GOOD, "strategy": str(version.strategy_id)})
    answer = owner_client.post(LIST, body, content_type="application/json")
    run = BacktestRun.objects.get()
    assert answer.status_code == 201
    assert answer["Location"].endswith(address(run))
    assert answer.json()["id"] == str(run.pk)
    assert answer.json()["status"] == "queued"
    assert owner_client.get(answer["Location"]).json() == answer.json()


def test_the_schema_is_made_without_a_warning(capsys):
    from drf_spectacular.drainage import GENERATOR_STATS, reset_generator_stats

    reset_generator_stats()
    SchemaGenerator().get_schema(public=True)
    assert not GENERATOR_STATS, capsys.readouterr().err


def test_every_setting_of_a_request_is_in_the_schema():
    schema = SchemaGenerator().get_schema(public=True)["components"]["schemas"]["RunRequest"]["properties"]
    names = {field.name for field in fields(RunRequest)} - {"from_ms", "to_ms"}
    assert set(schema) == names | {"from", "to", "symbol", "strategy", "version"}
    assert schema["participation_cap"]["nullable"]


@pytest.mark.parametrize("body", ["[]", '"text"', "{", "null"])
def test_a_body_that_is_no_object_is_refused(owner_client, body):
    answer = owner_client.post(LIST, body, content_type="application/json")
    assert answer.status_code == 400
    assert set(answer.json()) == {"field", "code", "message"}


def test_the_list_has_pages_filters_and_the_callers_runs_alone(owner_client, owner, stranger):
    mine = [build_run(owner, "failed") for _ in range(3)]
    build_run(stranger, "failed")
    page = owner_client.get(f"{LIST}?limit=2").json()
    assert page["count"] == 3
    assert [row["id"] for row in page["results"]] == [str(run.pk) for run in mine[:0:-1]]
    assert page["next"]
    assert owner_client.get(f"{LIST}?status=queued").json()["count"] == 0
    assert owner_client.get(f"{LIST}?symbol=btc&market=usdm").json()["count"] == 3


def test_a_filter_that_makes_no_sense_is_refused(owner_client):
    answer = owner_client.get(f"{LIST}?status=perhaps")
    assert answer.status_code == 400
    assert answer.json()["field"] == "status"


def test_a_result_shows_the_summary_of_the_row(owner_client, finished):
    shown = owner_client.get(address(finished)).json()
    assert shown["status"] == "succeeded"
    assert shown["metrics"] == finished.summary["metrics"]
    assert shown["summary"] == finished.summary
    assert set(shown["metrics"]) == set(METRICS)
    assert shown["result_hash"] == finished.result_hash
    assert shown["strategy"]["version"] == 1
    assert shown["failure"] is None


def test_a_failure_shows_code_line_and_cause(owner_client, owner):
    run = build_run(owner, "failed", failure={"message": "no", "line": 3, "source_line": "x", "bar_time_ms": 5})
    failure = owner_client.get(address(run)).json()["failure"]
    assert (failure["code"], failure["message"], failure["line"]) == ("strategy_error", "no", 3)


def test_progress_of_a_running_run(owner_client, owner):
    run = build_run(owner)
    BacktestRun.objects.claim(run.pk).beat("running", {"n_done": 5, "n_total": 10, "bars_per_s": 2.0})
    progress = owner_client.get(address(run)).json()["progress"]
    assert (progress["stage"], progress["percent"], progress["eta_s"]) == ("running", 50, None)


def test_cancel_is_accepted_and_of_a_finished_run_refused(owner_client, owner):
    run = build_run(owner)
    answer = owner_client.post(address(run, "api_backtest_cancel"))
    assert answer.status_code == 202
    assert answer.json()["status"] == "cancelled"
    again = owner_client.post(address(run, "api_backtest_cancel"))
    assert again.status_code == 409
    assert again.json()["code"] == "run_finished"


def test_asking_twice_to_cancel_a_running_run_is_fine(owner_client, owner):
    run = build_run(owner)
    BacktestRun.objects.claim(run.pk)
    for _ in range(2):
        answer = owner_client.post(address(run, "api_backtest_cancel"))
        assert answer.status_code == 202
        assert answer.json()["cancel_requested"]


def test_trades_come_in_pages_and_add_up(owner_client, finished):
    first = owner_client.get(address(finished, "api_backtest_trades") + "?limit=20").json()
    assert first["count"] == 30
    rest = owner_client.get(first["next"]).json()["results"]
    trades = first["results"] + rest
    assert len(trades) == 30
    assert sum(trade["pnl"] for trade in trades) == pytest.approx(finished.summary["metrics"]["net_profit"])
    assert trades[0]["symbol"] == "BTCUSDT"
    assert trades[0]["exit_reason"] == "order"


def test_orders_come_with_their_end_and_can_be_chosen_by_it(owner_client, stranger_client, finished):
    url = address(finished, "api_backtest_orders")
    page = owner_client.get(url).json()
    assert page["count"] == 62
    order = page["results"][0]
    schema = SchemaGenerator().get_schema(public=True)["components"]["schemas"]
    assert set(order) == set(schema["Order"]["properties"])
    assert (order["kind"], order["status"], order["reason"], order["parent_id"]) == ("market", "filled", "none", None)
    rejected = owner_client.get(f"{url}?status=rejected").json()
    assert {row["reason"] for row in rejected["results"]} == {"below_min_notional"}
    assert rejected["count"] == 2
    assert owner_client.get(f"{url}?status=lost").json()["field"] == "status"
    assert owner_client.get(address(finished)).json()["links"]["orders"].endswith(url)
    assert stranger_client.get(url).status_code == 404


def test_trades_are_as_the_schema_says(owner_client, finished):
    trade = owner_client.get(address(finished, "api_backtest_trades")).json()["results"][0]
    schema = SchemaGenerator().get_schema(public=True)["components"]["schemas"]["Trade"]["properties"]
    assert set(trade) == set(schema)


def test_equity_has_a_row_per_bar_and_ends_at_the_final_equity(owner_client, finished):
    page = owner_client.get(address(finished, "api_backtest_equity") + "?offset=743").json()
    assert page["count"] == 744
    assert page["results"][-1]["margin_balance"] == finished.summary["final_equity"]
    assert len(owner_client.get(address(finished, "api_backtest_equity") + "?limit=100000").json()["results"]) == 744


@pytest.mark.parametrize("name", ["api_backtest_trades", "api_backtest_equity"])
def test_rows_of_a_run_without_a_result_are_a_conflict(owner_client, owner, name):
    answer = owner_client.get(address(build_run(owner), name))
    assert answer.status_code == 409
    assert answer.json()["code"] == "no_result"


def test_missing_result_files_are_gone(owner_client, owner):
    answer = owner_client.get(address(build_run(owner, "succeeded"), "api_backtest_trades"))
    assert answer.status_code == 410
    assert answer.json()["code"] == "result_missing"


def test_delete_of_a_finished_run(owner_client, finished, owner):
    assert owner_client.delete(address(finished)).status_code == 204
    assert owner_client.get(address(finished)).status_code == 404
    assert owner_client.delete(address(build_run(owner))).status_code == 409


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("get", "api_backtest"),
        ("delete", "api_backtest"),
        ("post", "api_backtest_cancel"),
        ("get", "api_backtest_trades"),
        ("get", "api_backtest_equity"),
    ],
)
def test_strangers_get_404_and_anonymous_401(stranger_client, anonymous, finished, method, name):
    answer = getattr(stranger_client, method)(address(finished, name))
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
    assert getattr(anonymous, method)(address(finished, name)).status_code == 401
    assert BacktestRun.objects.filter(pk=finished.pk, status="succeeded").exists()


@pytest.mark.parametrize("name", ["api_backtest", "api_backtest_trades"])
def test_wrong_methods_are_refused(owner_client, finished, name):
    answer = owner_client.patch(address(finished, name))
    assert answer.status_code == 405
    assert answer.json()["code"] == "method_not_allowed"


def test_the_catalogue_says_what_each_metric_means(owner_client):
    rows = owner_client.get(reverse("api_metric_list")).json()
    assert [row["name"] for row in rows] == list(METRICS)
    assert all(row["formula"] and row["unit"] for row in rows)


def test_the_schema_describes_every_address_without_warnings(db, capsys):
    schema = SchemaGenerator().get_schema(request=None, public=True)
    paths = {path for path in schema["paths"] if "backtests" in path}
    assert len(paths) == 7
    assert "Warning" not in capsys.readouterr().err
    body = schema["components"]["schemas"]["RunRequest"]
    assert {"from", "to", "strategy", "market"} <= set(body["required"])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested"),
        ('{"a":' + "[" * 20 + "]" * 20 + "}", "nested"),
        ('{"from": NaN}', "NaN"),
    ],
    ids=["endless", "deep", "nan"],
)
def test_json_that_nothing_here_can_mean_is_refused(owner_client, body, words):
    answer = owner_client.post(LIST, body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")
    assert words in answer.json()["message"]


def test_a_body_beyond_the_limit_is_not_read_to_its_end(owner_client, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    answer = owner_client.post(LIST, json.dumps({"strategy": "x" * 100}), content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_long")


@pytest.mark.parametrize("field", ["market", "timeframe", "from", "seed", "version", "funding", "symbol", "x" * 5_000])
def test_a_refusal_repeats_only_the_start_of_a_long_value(owner_client, version, field):
    body = json.dumps({**GOOD, "strategy": str(version.strategy_id), field: "x" * 100_000})
    answer = owner_client.post(LIST, body, content_type="application/json")
    assert answer.status_code == 400
    assert len(answer.content) < 500


def test_a_name_that_no_answer_can_hold_is_refused(owner_client, version):
    body = json.dumps({**GOOD, "strategy": str(version.strategy_id), "\ud800": 1})
    answer = owner_client.post(LIST, body, content_type="application/json")
    assert (answer.status_code, answer.json()["field"], answer.json()["code"]) == (400, "?", "unknown_field")


@pytest.mark.parametrize("number", [True, 1.5, [1], 10**30, "1.0"])
def test_a_version_is_a_whole_number(owner_client, version, number):
    body = json.dumps({**GOOD, "strategy": str(version.strategy_id), "version": number})
    answer = owner_client.post(LIST, body, content_type="application/json")
    assert (answer.status_code, answer.json()["field"]) == (400, "version")


def test_parameters_nested_without_end_are_refused_in_a_form_too(owner_client, version):
    form = {**GOOD, "strategy": str(version.strategy_id), "params": "[" * 100_000 + "]" * 100_000}
    answer = owner_client.post(LIST, form)
    assert (answer.status_code, answer.json()["field"]) == (400, "params")
