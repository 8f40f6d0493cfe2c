import datetime as dt
import json
from dataclasses import replace

import numpy as np
import pytest

from backtests.engine.request import TIMEFRAME_MS as ENGINE_TIMEFRAME_MS
from backtests.engine.request import MarginTier, check_tiers
from marketdata.defaults import (
    load_default_filter_sets,
    load_default_instruments,
    load_default_tier_sets,
    load_fee_presets,
)
from marketdata.errors import DataUnavailable
from marketdata.instruments import choose_rules, ensure_instrument, infer_step, load_instruments, split_symbol
from marketdata.models import FilterSet, Instrument, MarginTierSet
from marketdata.rules import InstrumentRules, find_tier_problem
from marketdata.timeframes import TIMEFRAME_MS
from tests.marketdata.candle_makers import make_candles

TIER_SETS = load_default_tier_sets()
FILTER_SETS = load_default_filter_sets()


@pytest.mark.parametrize("tier_set", TIER_SETS, ids=lambda t: f"{t.symbol} {t.valid_from}")
def test_every_cumulative_amount_follows_from_the_tier_below(tier_set):
    below = tier_set.tiers[0]
    assert (below.floor, below.cumulative) == (0, 0)
    for tier in tier_set.tiers[1:]:
        expected = below.cumulative + tier.floor * (tier.maintenance_rate - below.maintenance_rate)
        assert tier.cumulative == pytest.approx(expected, abs=0.01)
        below = tier
    assert find_tier_problem(tier_set.tiers) == ""
    check_tiers(tuple(MarginTier(*(getattr(t, name) for name in MarginTier.__slots__)) for t in tier_set.tiers))


def test_the_tiers_are_the_published_ones(shared_oracle):
    published = json.loads((shared_oracle / "maintenance_brackets.json").read_text())
    keys = [f"{tier_set.symbol}_{tier_set.valid_from[:7].replace('-', '_')}" for tier_set in TIER_SETS]
    assert {key for key in published if "USDT_" in key} <= set(keys)
    for tier_set, key in zip(TIER_SETS, keys, strict=True):
        if key not in published:
            continue
        rows = published[key]
        names = ("notional_floor", "notional_cap", "mmr", "max_leverage", "cum")
        ours = [(t.floor, t.cap, t.maintenance_rate, t.max_leverage, t.cumulative) for t in tier_set.tiers]
        assert ours == [tuple(row[name] for name in names) for row in rows]


def test_the_futures_filters_are_the_published_ones(shared_data):
    published = json.loads((shared_data / "other/http_futures_market_exchange_info.json").read_text())
    filters = {
        row["symbol"]: {f["filterType"]: f for f in row["filters"]} | {"fee": row["liquidationFee"]}
        for row in published["symbols"]
    }
    for row in FILTER_SETS:
        if row.market == "usdm" and row.symbol in filters:
            theirs = filters[row.symbol]
            assert row.tick_size == float(theirs["PRICE_FILTER"]["tickSize"])
            assert row.step_size == float(theirs["LOT_SIZE"]["stepSize"])
            assert row.min_qty == float(theirs["LOT_SIZE"]["minQty"])
            assert row.min_notional == float(theirs["MIN_NOTIONAL"]["notional"])
            assert row.liquidation_fee_rate == float(theirs["fee"])


def test_both_markets_of_both_main_pairs_are_there_each_with_day_and_source():
    rows = load_default_instruments()
    assert {(row.market, row.symbol) for row in rows} >= {
        (market, symbol) for market in ("spot", "usdm") for symbol in ("BTCUSDT", "ETHUSDT")
    }
    instruments = {(row.market, row.symbol) for row in rows}
    assert {(row.market, row.symbol) for row in FILTER_SETS} < instruments  # filters that are not known are inferred
    futures = {key for key in instruments if key[0] == "usdm"}
    assert {(row.market, row.symbol) for row in TIER_SETS} == futures
    assert len(futures) >= 10
    for row in (*FILTER_SETS, *TIER_SETS, *load_fee_presets()):
        day = getattr(row, "valid_from", "") or row.as_of
        assert dt.date.fromisoformat(day) > dt.date(2017, 1, 1)
        assert 10 < len(row.source) <= 200


def test_the_fee_presets_hold_what_users_and_exchange_say():
    fees = {preset.name: (preset.maker_fee, preset.taker_fee) for preset in load_fee_presets()}
    assert set(fees.values()) == {(0.001, 0.001), (0.0002, 0.0004), (0.0002, 0.0005)}


def test_engine_and_market_data_mean_the_same_by_a_timeframe():
    assert TIMEFRAME_MS == ENGINE_TIMEFRAME_MS


def test_a_milder_or_broken_tier_is_named():
    tiers = TIER_SETS[0].tiers
    assert "Tier 3" in find_tier_problem((*tiers[:2], replace(tiers[2], cumulative=1.0)))
    assert "Tier 2" in find_tier_problem((tiers[0], tiers[2]))
    assert "milder" in find_tier_problem((tiers[0], replace(tiers[1], maintenance_rate=0.001)))


@pytest.mark.django_db
def test_loading_twice_changes_nothing_and_keeps_what_staff_edited():
    assert load_instruments() > 0
    filters = FilterSet.objects.filter(instrument__market="usdm", instrument__symbol="BTCUSDT")
    filters.update(min_notional=100)
    assert load_instruments() == 0
    assert filters.get().min_notional == 100
    assert FilterSet.objects.count() == len(FILTER_SETS)
    assert MarginTierSet.objects.count() == len(TIER_SETS)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("day", "tiers_as_of"),
    [
        ("2025-01-01", "2024-10-01"),
        ("2022-06-01", "2021-03-01"),
        ("2027-01-01", "2026-09-01"),
        ("2020-01-01", "2021-03-01"),
    ],
)
def test_the_tiers_in_force_on_the_first_day_are_chosen_else_the_earliest(day, tiers_as_of):
    load_instruments()
    instrument = Instrument.objects.get(market="usdm", symbol="BTCUSDT")
    rules = choose_rules(instrument, dt.date.fromisoformat(day))
    assert rules.tiers_as_of == tiers_as_of
    assert InstrumentRules.from_json(json.loads(json.dumps(rules.to_json()))) == rules


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("day", "rules_as_of", "min_notional"),
    [
        ("2021-12-31", "2022-02-18", 10.0),
        ("2022-02-18", "2022-02-18", 10.0),
        ("2023-11-30", "2022-02-18", 10.0),
        ("2023-12-01", "2023-12-01", 100.0),
        ("2027-01-01", "2023-12-01", 100.0),
    ],
)
def test_the_filters_in_force_on_the_first_day_are_chosen_else_the_earliest(day, rules_as_of, min_notional):
    load_instruments()
    instrument = Instrument.objects.get(market="usdm", symbol="BTCUSDT")
    later = {"tick_size": 0.1, "step_size": 0.001, "min_qty": 0.001, "min_notional": 100.0}
    FilterSet.objects.create(instrument=instrument, valid_from="2023-12-01", source="Made up.", **later)
    rules = choose_rules(instrument, dt.date.fromisoformat(day))
    assert (rules.rules_as_of, rules.min_notional) == (rules_as_of, min_notional)


@pytest.mark.django_db
def test_an_instrument_without_filters_is_refused_until_candles_give_it_some():
    bare = Instrument.objects.create(market="spot", symbol="ABCUSDT", base_asset="ABC", quote_asset="USDT")
    with pytest.raises(DataUnavailable) as refusal:
        choose_rules(bare, dt.date(2025, 1, 1))
    assert (refusal.value.field, refusal.value.code) == ("symbols", "no_filters")
    assert "ABCUSDT" in refusal.value.message
    ensure_instrument("spot", "ABCUSDT", make_candles(24))
    assert choose_rules(bare, dt.date(2025, 1, 1)).tick_size == 1.0


@pytest.mark.django_db
def test_a_pair_with_tiers_alone_has_its_filters_inferred_and_says_so():
    ripple = ensure_instrument("usdm", "XRPUSDT", make_candles(24))
    rules = choose_rules(ripple, dt.date(2025, 1, 1))
    assert (rules.tick_size, rules.tiers_as_of, len(rules.tiers) > 5) == (1.0, "2026-09-01", True)
    assert "Inferred" in rules.rules_source
    assert "freqtrade" in rules.tiers_source


@pytest.mark.django_db
def test_spot_has_no_tiers():
    load_instruments()
    rules = choose_rules(Instrument.objects.get(market="spot", symbol="BTCUSDT"), dt.date(2025, 1, 1))
    assert (rules.tiers, rules.tiers_as_of) == ((), "")


@pytest.mark.django_db
def test_an_unknown_instrument_gets_steps_from_its_candles_and_says_so():
    without = ensure_instrument("spot", "ABCUSDT")
    assert (without.base_asset, without.quote_asset) == ("ABC", "USDT")
    assert without.filter_sets.get().tick_size == 1e-8
    candles = make_candles(24)
    known = ensure_instrument("spot", "ABCUSDT", candles)
    filters = known.filter_sets.get()
    assert (known.pk, filters.tick_size, filters.step_size) == (without.pk, 1.0, 1.0)
    assert filters.valid_from == dt.datetime.fromtimestamp(int(candles.open_ms[-1]) / 1000, dt.UTC).date()
    assert "Inferred" in filters.source
    ensure_instrument("spot", "ABCUSDT", replace(candles, close=candles.close + 0.5))
    assert known.filter_sets.get().tick_size == 1.0


@pytest.mark.parametrize(
    ("values", "step"), [([1.0, 250.0], 1.0), ([1.5, 2.0], 0.1), ([0.00001, 3.0], 1e-5), ([1 / 3], 1e-8)]
)
def test_a_step_is_read_off_the_values(values, step):
    assert infer_step(np.array(values)) == step


@pytest.mark.parametrize(
    ("symbol", "parts"),
    [
        ("BTCUSDT", ("BTC", "USDT")),
        ("BTCUSDT_220325", ("BTC", "USDT")),
        ("ETHBTC", ("ETH", "BTC")),
        ("USDT", ("USDT", "")),
    ],
)
def test_a_symbol_is_split_into_its_assets(symbol, parts):
    assert split_symbol(symbol) == parts
