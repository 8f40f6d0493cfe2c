import shutil

import pytest
from django.urls import reverse

from tests.backtests.finished_runs import build_finished_run
from tests.builders import build_candles, build_run

TABS = ("overview", "trades", "orders", "metrics", "log", "code", "reproducibility")


@pytest.fixture
def finished(owner, hindsight_home):
    build_candles()
    return build_finished_run(owner)


def page_of(client, run, tab=""):
    return client.get(reverse("run_detail", args=[run.pk]) + (f"?tab={tab}" if tab else ""))


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_works_without_scripts_and_without_inline_style(owner_client, finished, tab):
    page = page_of(owner_client, finished, tab)
    assert page.status_code == 200
    assert f'href="?tab={tab}" aria-current="page"' in page.text
    assert ' style="' not in page.text
    assert " onclick=" not in page.text
    assert "Total return" in page.text
    assert "Market orders fill" in page.text  # the assumptions are in sight on every tab


def test_an_unknown_tab_is_the_overview(owner_client, finished):
    assert 'href="?tab=overview" aria-current="page"' in page_of(owner_client, finished, "nonsense").text


def test_the_strip_shows_the_summary_of_the_row_beside_buy_and_hold(owner_client, finished):
    page = page_of(owner_client, finished).text
    shown = f"{abs(finished.summary['metrics']['total_return']) * 100:.2f}"
    assert shown in page
    assert "buy and hold" in page
    assert "standard error" in page


def test_the_overview_warns_and_has_chart_and_months(owner_client, finished):
    page = page_of(owner_client, finished).text
    assert reverse("run_chart", args=[finished.pk]) in page
    assert "No funding rates" in page
    assert "orders were rejected" in page
    assert "Monthly returns" in page
    assert "plotly.js-style-global" in page


def test_orders_say_in_words_why_they_were_rejected(owner_client, finished):
    page = page_of(owner_client, finished, "orders").text
    assert "Below the exchange&#x27;s minimum notional" in page
    assert "95.00" in page


def test_orders_can_be_shown_by_their_end(owner_client, finished):
    address = reverse("run_detail", args=[finished.pk]) + "?tab=orders"
    assert "Rejected: Below the exchange&#x27;s minimum notional" in owner_client.get(address).text
    page = owner_client.get(f"{address}&status=rejected").text
    assert page.count("<tr><td>") == 2
    assert 'status=filled">Filled <span class="muted">40</span>' in page
    assert "No order ended like this" in owner_client.get(f"{address}&status=expired").text


def test_ambiguous_bars_are_said_and_their_trades_marked(owner_client, owner, finished):
    for tab in ("overview", "trades"):
        assert "which extreme came first" not in page_of(owner_client, finished, tab).text
    run = build_finished_run(owner, n_ambiguous=3)
    overview = page_of(owner_client, run).text
    assert "In 3 of the 1h bars the candle does not tell which extreme came first" in overview
    assert "path inside a bar comes from finer candles" in overview
    trades = page_of(owner_client, run, "trades").text
    assert "3 trades filled in bars whose candles do not tell" in trades
    assert trades.count(">Ambiguous</span>") == 3
    only = owner_client.get(reverse("run_detail", args=[run.pk]) + "?tab=trades&only=ambiguous").text
    assert (only.count("<tr>\n      <td>"), only.count(">Ambiguous</span>")) == (3, 3)
    assert run.summary["n_ambiguous_bars"] == 3


def test_metrics_show_formula_and_unit(owner_client, finished):
    page = page_of(owner_client, finished, "metrics").text
    assert "mean(r) / std(r) x sqrt(365)" in page
    assert "USDT" in page


def test_the_log_is_escaped_and_has_the_time_of_its_bar(owner_client, finished):
    page = page_of(owner_client, finished, "log").text
    assert "a warning &amp; &lt;b&gt;markup&lt;/b&gt;" in page
    assert "2025-01-02 01:00" in page


def test_code_is_the_exact_version_that_ran(owner_client, finished):
    assert "class BuyOnce(Strategy)" in page_of(owner_client, finished, "code").text


def test_reproducibility_has_hashes_rules_with_dates_and_the_command(owner_client, finished):
    page = page_of(owner_client, finished, "reproducibility").text
    assert finished.result_hash in page
    assert finished.data_revision in page
    assert finished.strategy_version.sha256 in page
    assert "tiers, liquidation fee" in page
    assert "run_backtest strategy.py --market usdm --symbol BTCUSDT --timeframe 1h --from 2025-01-01" in page


def test_run_again_brings_the_same_request_to_the_form(owner_client, finished):
    page = page_of(owner_client, finished).text
    assert "/runs/new/?market=usdm&amp;timeframe=1h" in page
    assert "from=2025-01-01&amp;to=2025-02-01" in page


def test_a_ruined_run_has_succeeded_and_says_ruined(owner_client, owner, hindsight_home):
    build_candles()
    run = build_finished_run(owner, is_ruined=True)
    page = page_of(owner_client, run).text
    assert "Ruined" in page
    assert run.status == "succeeded"


def test_a_run_without_trades_says_so(owner_client, owner, hindsight_home):
    build_candles()
    run = build_finished_run(owner, n_trades=0, n_rejected=0)
    assert "opened no trade" in page_of(owner_client, run).text
    assert "opened no trade" in page_of(owner_client, run, "trades").text
    assert "made no order" in page_of(owner_client, run, "orders").text


def test_a_failed_run_shows_its_error_line_source_and_way_to_the_editor_first(owner_client, owner):
    failure = {
        "message": "division by zero",
        "line": 17,
        "source_line": "    x = 1 / zero",
        "bar_time_ms": 1_735_689_600_000,
        "traceback": "Traceback: here",
        "log_tail": ["last words"],
    }
    run = build_run(owner, "failed", failure=failure)
    page = page_of(owner_client, run).text
    for text in ("The strategy raised an error", "division by zero", "line 17", "x = 1 / zero", "2025-01-01 00:00"):
        assert text in page, text
    assert "last words" in page
    assert "?line=17" in page


def test_a_failure_without_a_line_or_cause_is_shown_too(owner_client, owner):
    page = page_of(owner_client, build_run(owner, "failed", failure_code="lost", failure=None)).text
    assert "The worker was lost" in page
    assert "line" not in page.split("failure-message")[1].split("Open in the editor")[0]


def test_a_cancelled_run_says_so(owner_client, owner):
    assert "was cancelled" in page_of(owner_client, build_run(owner, "cancelled")).text


def test_missing_result_files_are_explained(owner_client, finished, hindsight_home):
    shutil.rmtree(hindsight_home / "artifacts")
    page = page_of(owner_client, finished)
    assert page.status_code == 200
    assert "not readable" in page.text


def test_strangers_get_404_and_anonymous_the_sign_in_page(stranger_client, anonymous, finished):
    for tab in TABS:
        assert page_of(stranger_client, finished, tab).status_code == 404
    assert page_of(anonymous, finished).status_code == 302


def test_the_page_is_read_only(owner_client, finished):
    assert owner_client.post(reverse("run_detail", args=[finished.pk])).status_code == 405
