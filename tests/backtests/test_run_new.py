import re
from dataclasses import fields

import pytest
from django.urls import reverse

from backtests import services
from backtests.engine.request import RunRequest
from backtests.models import BacktestRun
from backtests.presentation.numbers import NBSP
from backtests.presentation.runs import run_row
from tests.builders import build_candles, build_version

NEW = reverse("run_new")
NOT_ASKED_AGAIN = {"from_ms", "to_ms", "data_revision"}
SCHEMA = [
    {"name": "fast", "type": "int", "default": 10, "min": 2, "max": 50, "step": 2, "choices": None},
    {"name": "is_bold", "type": "bool", "default": True, "min": None, "max": None, "step": None, "choices": None},
    {
        "name": "kind",
        "type": "str",
        "default": "ema",
        "min": None,
        "max": None,
        "step": None,
        "choices": ["ema", "sma"],
    },
    {"name": "share", "type": "float", "default": 0.5, "min": 0.0, "max": None, "step": None, "choices": None},
]


@pytest.fixture
def version(owner, hindsight_home):
    build_candles()
    return build_version(owner, param_schema=SCHEMA)


def shown_values(page):
    """Name -> value of every field, as a browser would submit it untouched."""
    form = page.context["form"]
    return {name: str(form[name].value() if form[name].value() is not None else "") for name in form.fields}


def test_everything_has_a_valid_default(owner_client, version):
    page = owner_client.get(NEW)
    assert page.status_code == 200
    answer = owner_client.post(NEW, shown_values(page))
    run = BacktestRun.objects.get()
    assert answer.url == reverse("run_detail", args=[run.pk])
    assert run.request["params"] == {"fast": 10, "is_bold": True, "kind": "ema", "share": 0.5}
    assert (run.from_ms, run.to_ms) == (1_735_689_600_000, 1_738_368_000_000)
    assert run.request["taker_fee"] == 0.0004


def test_the_form_shows_coverage_bars_and_parameters_with_their_bounds(owner_client, version):
    page = owner_client.get(NEW).text
    assert "Held 2025-01-01 to 2025-02-01 UTC, no gaps" in page
    assert "<strong>744 bars</strong>" in page
    assert "2 to 50, step 2" in page
    assert re.search(r'name="param_fast"[^>]*value="10"', page)
    assert "at least 0" in page


def test_the_strategy_in_the_address_is_chosen(owner_client, owner, version):
    other = build_version(owner, name="Another")
    form = owner_client.get(f"{NEW}?strategy={other.strategy_id}").context["form"]
    assert form.strategy_version == other
    assert not form.param_fields


def test_an_older_version_can_be_run(owner_client, owner, version):
    build_version(owner)
    form = owner_client.get(f"{NEW}?strategy={version.strategy_id}&version=1").context["form"]
    assert form.strategy_version.number == 1
    form = owner_client.get(f"{NEW}?strategy={version.strategy_id}").context["form"]
    assert form.strategy_version.number == 2


def test_values_in_the_address_are_kept(owner_client, version):
    page = owner_client.get(f"{NEW}?leverage=7&param_fast=20&from=2025-01-10&to=2025-01-20&fill=next_open")
    values = shown_values(page)
    assert (values["leverage"], values["param_fast"], values["fill"]) == ("7", "20", "next_open")
    assert (values["from"], values["to"]) == ("2025-01-10", "2025-01-20")
    assert "<strong>240 bars</strong>" in page.text


def test_a_change_of_market_brings_its_own_fees_and_drops_leverage(owner_client, version):
    build_candles(market="spot")
    typed = shown_values(owner_client.get(NEW)) | {"market": "spot", "leverage": "5", "initial_balance": "777"}
    fragment = owner_client.get(NEW, typed, headers={"HX-Request": "true"})
    values = shown_values(fragment)
    assert values["taker_fee"] == "0.001"
    assert values["leverage"] == "1"
    assert values["initial_balance"] == "777"
    assert "<html" not in fragment.text
    assert 'name="leverage"' not in fragment.text  # spot trades without


def test_a_timeframe_that_cannot_be_had_gives_way_to_the_nearest(owner_client, version):
    assert shown_values(owner_client.get(f"{NEW}?timeframe=3m"))["timeframe"] == "1h"
    assert shown_values(owner_client.get(f"{NEW}?timeframe=1d"))["timeframe"] == "1d"  # built
    assert shown_values(owner_client.get(f"{NEW}?timeframe=nonsense"))["timeframe"] == "1h"


def test_timeframes_that_can_be_built_are_offered_and_say_of_what(owner_client, version):
    build_candles(timeframe="15m", n_bars=4 * 24 * 31)
    page = owner_client.get(f"{NEW}?timeframe=1w")
    choices = dict(page.context["form"]["timeframe"].field.widget.choices)
    assert list(choices) == ["15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w"]
    assert (choices["15m"], choices["4h"]) == ("15m", "4h, built from 15m")
    assert "Held 2025-01-06 to 2025-01-27 UTC, no gaps, 1w bars built from 15m candles" in page.text
    values = shown_values(page)
    assert (values["from"], values["to"]) == ("2025-01-06", "2025-01-27")
    assert owner_client.post(NEW, values).status_code == 302
    [symbol] = BacktestRun.objects.get().run_data["symbols"]
    assert (symbol["timeframe"], symbol["source_timeframe"], symbol["n_rows_in_span"]) == ("1w", "15m", 3)


def test_a_span_that_is_not_held_at_all_is_replaced_by_the_default(owner_client, version):
    values = shown_values(owner_client.get(f"{NEW}?from=2020-01-01&to=2020-02-01"))
    assert (values["from"], values["to"]) == ("2025-01-01", "2025-02-01")


def test_a_fee_schedule_fills_in_its_fees(owner_client, version):
    form = owner_client.get(NEW).context["form"]
    for name, _ in form.fields["fee_preset"].choices[1:]:
        values = shown_values(owner_client.get(NEW, {"fee_preset": name, "maker_fee": "9", "taker_fee": "9"}))
        assert values["taker_fee"] != "9"
        assert float(values["taker_fee"]) < 0.01


def test_a_refused_run_keeps_what_was_typed_and_shows_field_and_message(owner_client, version):
    values = shown_values(owner_client.get(NEW)) | {"leverage": "500", "param_fast": "20", "initial_balance": "1234"}
    page = owner_client.post(NEW, values)
    assert page.status_code == 422
    form = page.context["form"]
    assert form.error_codes == {"leverage": ["out_of_range"]}
    assert shown_values(page)["initial_balance"] == "1234"
    assert shown_values(page)["param_fast"] == "20"
    assert "must lie between 1 and 125" in page.text
    assert 'aria-invalid="true"' in page.text
    assert not BacktestRun.objects.exists()


def test_an_error_in_the_folded_costs_opens_them(owner_client, version):
    values = shown_values(owner_client.get(NEW)) | {"taker_fee": "free"}
    page = owner_client.post(NEW, values)
    assert page.context["form"].error_codes == {"taker_fee": ["not_a_number"]}
    assert re.search(r"<details[^>]* open>", page.text)


EVERYTHING = {
    "mode": "sealed",
    "margin_mode": "cross",
    "limits": {"run_wall_clock_s": 30, "max_orders": 1_000},
    "participation_cap": 0.1,
    "path": "optimistic",
    "limit_fill": "through",
    "intrabar_timeframe": "15m",
    "max_leverage": 50,
    "leverage": 3,
    "maker_fee": 0.0001,
    "taker_fee": 0.0003,
    "slippage_bps": 2.5,
    "fill": "next_open",
    "funding": False,
    "seed": 7,
    "warmup_bars": 12,
    "initial_balance": 777.5,
}


@pytest.fixture
def two_symbols(version):
    build_candles(symbol="ETHUSDT")
    for symbol in ("BTCUSDT", "ETHUSDT"):
        build_candles(symbol=symbol, timeframe="15m", n_bars=4 * 24 * 31)


def test_run_again_repeats_every_setting(owner_client, owner, version, two_symbols):
    span = {"from": "2025-01-05", "to": "2025-01-20T06:00:00"}
    params = {"fast": 20, "is_bold": False, "kind": "sma", "share": 0.25}
    wanted = {"market": "usdm", "symbols": ["BTCUSDT", "ETHUSDT"], "timeframe": "1h", "params": params, **EVERYTHING}
    assert {f.name for f in fields(RunRequest)} - set(wanted) == NOT_ASKED_AGAIN
    first = services.request_run(owner, {**wanted, **span}, strategy_version=version)
    page = owner_client.get(f"{NEW}?{run_row(first).again}")
    answer = owner_client.post(NEW, shown_values(page))
    assert answer.status_code == 302
    second = BacktestRun.objects.exclude(pk=first.pk).get()
    assert second.request == first.request


def test_settings_of_the_folded_part_are_said_in_its_line(owner_client, version, two_symbols):
    query = "limit_fill=through&intrabar_timeframe=15m&path=optimistic&slippage_bps=2&participation_cap=0.1"
    form = owner_client.get(f"{NEW}?{query}").context["form"]
    for words in ("limits when the price goes through", "path from 15m candles", "favourable extreme first", "2 bps"):
        assert words in form.cost_text
    assert f"at most 10{NBSP}% of the volume" in form.cost_text


def test_finer_candles_are_offered_where_they_divide_the_bars(owner_client, version):
    build_candles(timeframe="15m", n_bars=4 * 24 * 31)

    def offered(query):
        return [
            value
            for value, _ in owner_client.get(f"{NEW}?{query}")
            .context["form"]["intrabar_timeframe"]
            .field.widget.choices
        ]

    assert offered("timeframe=1h") == ["", "15m", "30m"]
    assert offered("timeframe=4h") == ["", "15m", "30m", "1h", "2h"]
    assert offered("timeframe=15m&intrabar_timeframe=1h") == [""]  # of the timeframe that was shown before
    assert offered("timeframe=1h&intrabar_timeframe=5m") == ["", "15m", "30m", "5m"]  # not held: the refusal says so


def test_more_symbols_share_the_account(owner_client, version, two_symbols):
    page = owner_client.get(f"{NEW}?timeframe=1h")
    assert "Held at 1h: ETHUSDT" in page.text
    answer = owner_client.post(NEW, shown_values(page) | {"more_symbols": "ethusdt"})
    run = BacktestRun.objects.get()
    assert answer.status_code == 302
    assert run.request["symbols"] == ["BTCUSDT", "ETHUSDT"]
    assert [symbol["rules"]["symbol"] for symbol in run.run_data["symbols"]] == ["BTCUSDT", "ETHUSDT"]


def test_a_symbol_that_is_not_held_is_refused_where_it_was_typed(owner_client, version, two_symbols):
    values = shown_values(owner_client.get(NEW))
    page = owner_client.post(NEW, values | {"more_symbols": "ETHUSDT, NOSUCHUSDT"})
    assert page.context["form"].error_codes == {"more_symbols": ["unknown_symbol"]}
    assert 'value="ETHUSDT, NOSUCHUSDT"' in page.text
    page = owner_client.post(NEW, values | {"more_symbols": "BTCUSDT"})
    assert page.context["form"].error_codes == {"more_symbols": ["bad_list"]}


def test_without_other_symbols_there_is_nothing_to_add(owner_client, version):
    assert "more_symbols" not in owner_client.get(NEW).text


def test_typed_text_is_escaped(owner_client, version):
    values = shown_values(owner_client.get(NEW)) | {"initial_balance": '"><script>alert(1)</script>'}
    page = owner_client.post(NEW, values).text
    assert "<script>alert" not in page


def test_without_strategies_the_way_to_them_is_shown(owner_client, hindsight_home):
    build_candles()
    assert "First a strategy" in owner_client.get(NEW).text


def test_without_candles_the_way_to_market_data_is_shown(owner_client, owner, hindsight_home):
    build_version(owner)
    page = owner_client.get(NEW)
    assert "no candles yet" in page.text
    assert owner_client.post(NEW, {"market": "usdm"}).status_code == 422


def test_the_strategy_of_somebody_else_does_not_exist(stranger_client, stranger, version):
    build_version(stranger, name="Mine")
    values = shown_values(stranger_client.get(NEW)) | {"strategy": str(version.strategy_id)}
    page = stranger_client.post(NEW, values)
    assert page.context["form"].error_codes == {"strategy": ["unknown_strategy"]}
    assert version.strategy.name not in stranger_client.get(f"{NEW}?strategy={version.strategy_id}").text


def test_the_form_needs_a_user(anonymous, db):
    assert anonymous.get(NEW).status_code == 302
    assert anonymous.post(NEW, {}).status_code == 302


def test_other_methods_are_refused(owner_client):
    assert owner_client.put(NEW).status_code == 405
