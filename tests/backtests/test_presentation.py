import math

import pytest

from backtests.engine.kernels.types import ExitReason, OrderKind, OrderStatus, Reason
from backtests.engine.metrics import METRICS, MetricValue
from backtests.presentation import orders, tables
from backtests.presentation.figures import quote_asset, summary_figures
from backtests.presentation.numbers import (
    format_leverage,
    format_metric,
    format_number,
    format_price,
    format_qty,
    format_rate,
    format_ratio,
    format_seconds,
    format_span,
    format_time,
    tone_of,
)

NBSP = "\u00a0"


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.5, "1,234.50"), (-1234.5, "−1,234.50"), (0.0, "0.00"), (-0.001, "0.00"), (None, "–"), (math.nan, "–")],
)
def test_numbers_have_real_minus_signs_and_no_negative_zero(value, text):
    assert format_number(value) == text


def test_a_signed_number_says_plus_unless_it_is_zero():
    assert format_number(3, is_signed=True) == "+3.00"
    assert format_number(0.001, is_signed=True) == "0.00"


def test_ratios_are_percent_and_stay_readable_when_huge():
    assert format_ratio(0.0312) == f"3.12{NBSP}%"
    assert format_ratio(-0.5, is_signed=True) == f"−50.00{NBSP}%"
    assert format_ratio(377.47) == f"37,747{NBSP}%"
    assert format_ratio(None) == "–"


def test_fees_show_the_digits_they_have():
    assert format_rate(0.0004) == f"0.04{NBSP}%"
    assert format_rate(0.00018) == f"0.018{NBSP}%"
    assert format_rate(-0.0001) == f"−0.01{NBSP}%"


@pytest.mark.parametrize(
    ("price", "text"),
    [(94_123.4, "94,123.40"), (1.5, "1.5"), (0.00001234, "0.00001234"), (12.3456, "12.3456"), (math.nan, "–")],
)
def test_prices_have_the_decimals_that_their_size_calls_for(price, text):
    assert format_price(price) == text


def test_quantities_and_leverage():
    assert format_qty(0.1) == "0.1"
    assert format_qty(-1_000_000.0) == "−1,000,000"
    assert format_leverage(20.0) == "20x"
    assert format_leverage(None) == "–"


def test_times_are_utc():
    assert format_time(1_735_689_600_000) == "2025-01-01 00:00"
    assert format_time(1_735_689_601_000) == "2025-01-01 00:00:01"
    assert format_time(-1) == "–"
    assert format_span(1_735_689_600_000, 1_735_693_200_000) == "2025-01-01 → 2025-01-01 01:00"


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.24, "1.2 s"), (45, "45 s"), (200, "3 min 20 s"), (180, "3 min"), (7_500, "2 h 5 min")]
)
def test_durations(seconds, text):
    assert format_seconds(seconds) == text


def test_metrics_are_written_by_their_unit():
    assert format_metric(METRICS["total_return"], 0.05) == f"+5.00{NBSP}%"
    assert format_metric(METRICS["total_trades"], 1_204) == "1,204"
    assert format_metric(METRICS["avg_leverage"], 2.5) == "2.5x"
    assert format_metric(METRICS["fees"], 12.5, "USDT") == f"12.50{NBSP}USDT"
    assert format_metric(METRICS["profit_factor"], None) == "–"


def test_tone_follows_the_sign_of_signed_metrics_only():
    assert tone_of(METRICS["total_return"], 0.1) == "gain"
    assert tone_of(METRICS["total_return"], -0.1) == "loss"
    assert tone_of(METRICS["total_return"], 0.0) == ""
    assert tone_of(METRICS["win_rate"], 0.9) == ""


def test_an_annualised_number_of_a_short_span_is_not_shown():
    summary = {"metrics": {"annualized_return": 377.47}, "notes": {"annualized_return": "short_span"}}
    (figure,) = summary_figures(summary, ("annualized_return",))
    assert figure.text == "–"
    assert "not meaningful" in figure.note


def test_figures_of_an_empty_summary_are_dashes():
    assert [figure.text for figure in summary_figures({})] == ["–"] * 4


def test_every_code_has_words():
    assert set(orders.REASON_WORDS) == set(Reason)
    assert set(tables.EXIT_WORDS) == set(ExitReason)
    assert set(orders.KIND_WORDS) == set(OrderKind)
    assert set(orders.STATUS_WORDS) == set(OrderStatus)
    assert all(text for reason, text in orders.REASON_WORDS.items() if reason)


@pytest.mark.parametrize(
    ("symbol", "quote"), [("BTCUSDT", "USDT"), ("ETHBTC", "BTC"), ("BTCUSDT_250328", "USDT"), ("XYZ", "")]
)
def test_the_quote_asset_is_read_off_the_symbol(symbol, quote):
    assert quote_asset(symbol) == quote


def test_a_metric_value_stays_a_plain_number():
    assert MetricValue(1.5).note == ""
