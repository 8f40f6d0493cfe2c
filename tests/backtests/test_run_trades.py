import csv
import io

import pytest
from django.urls import reverse

from tests.backtests.finished_runs import build_finished_run
from tests.builders import build_candles, build_run


@pytest.fixture
def finished(owner, hindsight_home):
    build_candles()
    return build_finished_run(owner, n_trades=70)


def trades_of(client, run, query=""):
    return client.get(reverse("run_trades", args=[run.pk]) + query)


def test_the_table_has_pages(owner_client, finished):
    assert "1–50 of 70" in trades_of(owner_client, finished).text
    assert "51–70 of 70" in trades_of(owner_client, finished, "?page=2").text


def test_the_table_sorts_by_any_column_both_ways(owner_client, finished):
    best = finished.summary["metrics"]["avg_win"]
    assert best is not None
    falling = trades_of(owner_client, finished, "?sort=-pnl").context["rows"]
    rising = trades_of(owner_client, finished, "?sort=pnl").context["rows"]
    assert falling[0].tone == "gain"
    assert rising[0].tone == "loss"
    assert trades_of(owner_client, finished, "?sort=nonsense").context["rows"][0].number == 1


def test_the_csv_holds_every_trade_with_full_precision(owner_client, finished):
    answer = trades_of(owner_client, finished, "?format=csv")
    assert answer["Content-Type"].startswith("text/csv")
    assert "attachment" in answer["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 70
    assert {row["symbol"] for row in rows} == {"BTCUSDT"}
    assert {row["exit_reason"] for row in rows} == {"order"}
    total = sum(float(row["pnl"]) for row in rows)
    assert total == pytest.approx(finished.summary["metrics"]["net_profit"], rel=1e-12)


def test_orders_come_as_csv_with_their_reasons(owner_client, finished):
    answer = owner_client.get(reverse("run_orders", args=[finished.pk]) + "?format=csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 142
    assert rows[-1]["status"] == "rejected"
    assert rows[-1]["reason"] == "below_min_notional"


@pytest.mark.parametrize("name", ["run_trades", "run_orders", "run_chart"])
def test_parts_of_a_result_are_for_its_owner_alone(owner_client, stranger_client, anonymous, finished, name):
    address = reverse(name, args=[finished.pk])
    assert owner_client.get(address).status_code == 200
    assert stranger_client.get(address).status_code == 404
    assert anonymous.get(address).status_code == 302
    assert owner_client.post(address).status_code == 405


@pytest.mark.parametrize("name", ["run_trades", "run_orders", "run_chart"])
def test_a_run_without_a_result_has_no_parts(owner_client, owner, name):
    assert owner_client.get(reverse(name, args=[build_run(owner, "failed").pk])).status_code == 404
