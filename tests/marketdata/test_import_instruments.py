import datetime as dt
import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from marketdata.instruments import choose_rules, ensure_instrument
from marketdata.models import FilterSet, Instrument, MarginTierSet
from tests.marketdata.candle_makers import make_candles

pytestmark = pytest.mark.django_db

ONBOARDED = 1_600_000_000_000  # 2020-09-13
BRACKETS = [
    {"bracket": 1, "initialLeverage": 50, "notionalCap": 5000, "notionalFloor": 0, "maintMarginRatio": 0.01, "cum": 0},
    {"bracket": 2, "initialLeverage": 20, "notionalCap": 9000, "notionalFloor": 5000, "maintMarginRatio": 0.02,
     "cum": 50.0},
]  # fmt: skip


def futures_symbol(symbol="AAAUSDT", **fields):
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.10", "minPrice": "1", "maxPrice": "9"},
        {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.002", "maxQty": "1000"},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
    ]
    return {
        "symbol": symbol, "contractType": "PERPETUAL", "baseAsset": "AAA", "quoteAsset": "USDT",
        "onboardDate": ONBOARDED, "deliveryDate": 4133404800000, "liquidationFee": "0.0125", "filters": filters,
    } | fields  # fmt: skip


def spot_symbol(symbol="AAAUSDT"):
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "stepSize": "0.0001", "minQty": "0.0001"},
        {"filterType": "NOTIONAL", "minNotional": "5.0"},
    ]
    return {"symbol": symbol, "baseAsset": "AAA", "quoteAsset": "USDT", "filters": filters}


def exchange_info(*symbols, day="2024-05-01"):
    moment = dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)
    return {"serverTime": round(moment.timestamp() * 1000), "symbols": list(symbols)}


def plain_tiers(tiers, **fields):
    return [{"symbol": "AAAUSDT", "valid_from": "2024-05-01", "source": "Typed in.", "tiers": tiers} | fields]


def run(folder, content, *options):
    path = folder / "rules.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    out = StringIO()
    call_command("import_instruments", str(path), *options, "--json", stdout=out)
    return {(row["symbol"], row["what"]): row["change"] for row in json.loads(out.getvalue())["changes"]}


def test_an_answer_of_the_futures_market_gives_filters_fee_and_days(tmp_path):
    told = run(tmp_path, exchange_info(futures_symbol(), futures_symbol("AAAUSDT_240628", deliveryDate=1719561600000)))
    assert told["AAAUSDT", "filters"] == "new"
    perpetual, quarter = Instrument.objects.filter(market="usdm").order_by("symbol")
    assert (perpetual.base_asset, perpetual.quote_asset) == ("AAA", "USDT")
    assert (perpetual.onboarded_on, perpetual.delisted_on) == (dt.date(2020, 9, 13), None)
    assert quarter.delisted_on == dt.date(2024, 6, 28)
    rules = choose_rules(perpetual, dt.date(2024, 6, 1))
    sizes = (rules.tick_size, rules.step_size, rules.min_qty, rules.min_notional, rules.liquidation_fee_rate)
    assert sizes == (0.1, 0.001, 0.002, 5.0, 0.0125)
    assert rules.rules_as_of == "2024-05-01"
    assert "exchangeInfo" in rules.rules_source


def test_an_answer_of_the_spot_market_has_no_fee(tmp_path):
    run(tmp_path, exchange_info(spot_symbol()), "--market=spot")
    filters = FilterSet.objects.get(instrument__market="spot", instrument__symbol="AAAUSDT")
    assert (filters.tick_size, filters.min_notional, filters.liquidation_fee_rate) == (0.01, 5.0, 0.0)


def test_the_real_answer_says_what_the_bundled_rules_say(tmp_path, shared_data):
    run(tmp_path, (shared_data / "other/http_futures_market_exchange_info.json").read_bytes())
    bitcoin = Instrument.objects.get(market="usdm", symbol="BTCUSDT")
    assert [str(filters.valid_from) for filters in bitcoin.filter_sets.all()] == ["2022-02-18"]
    assert bitcoin.filter_sets.get().source.startswith("Binance GET")  # the bundled set was equal: it stands
    assert bitcoin.onboarded_on == dt.date(2019, 9, 25)
    assert bitcoin.margin_tier_sets.count() == 3
    assert Instrument.objects.get(symbol="BTCUSDT_220325").delisted_on == dt.date(2022, 3, 25)


def test_the_same_file_twice_and_equal_rules_of_a_later_day_change_nothing(tmp_path):
    run(tmp_path, exchange_info(futures_symbol()))
    for day in ("2024-05-01", "2024-07-01"):
        told = run(tmp_path, exchange_info(futures_symbol(), day=day))
        assert set(told.values()) == {"unchanged"}
    assert FilterSet.objects.get(instrument__symbol="AAAUSDT").valid_from == dt.date(2024, 5, 1)


def test_other_rules_make_a_set_of_their_own_day_and_runs_choose_by_day(tmp_path):
    run(tmp_path, plain_tiers([[0, 5000, 0.01, 50]]))
    told = run(tmp_path, [{"symbol": "AAAUSDT", "brackets": BRACKETS}], "--as-of=2024-09-01")
    assert told["AAAUSDT", "margin tiers"] == "new"
    first, second = MarginTierSet.objects.filter(instrument__symbol="AAAUSDT").order_by("valid_from")
    assert (first.source, str(first.valid_from), str(second.valid_from)) == ("Typed in.", "2024-05-01", "2024-09-01")
    assert second.tiers[1] == {
        "floor": 5000.0, "cap": 9000.0, "maintenance_rate": 0.02, "max_leverage": 20.0, "cumulative": 50.0,
    }  # fmt: skip


def test_a_set_of_the_same_day_is_replaced(tmp_path):
    run(tmp_path, plain_tiers([[0, 5000, 0.01, 50]]))
    assert run(tmp_path, plain_tiers([[0, 6000, 0.01, 50]]))["AAAUSDT", "margin tiers"] == "revised"
    assert MarginTierSet.objects.get(instrument__symbol="AAAUSDT").tiers[0]["cap"] == 6000


def test_tiers_may_leave_their_cumulative_amounts_to_the_rates(tmp_path):
    run(tmp_path, plain_tiers([[0, 5000, 0.01, 50], {"floor": 5000, "cap": 9000, "maintenance_rate": 0.02,
                                                      "max_leverage": 20}]))  # fmt: skip
    assert [tier["cumulative"] for tier in MarginTierSet.objects.get().tiers] == [0, 50]


def test_inferred_filters_give_way_to_published_ones(tmp_path):
    instrument = ensure_instrument("usdm", "AAAUSDT", make_candles(24))
    assert "Inferred" in instrument.filter_sets.get().source
    run(tmp_path, exchange_info(futures_symbol(), day="2022-01-01"))
    assert "exchangeInfo" in choose_rules(instrument, dt.date(2026, 1, 1)).rules_source


def test_only_the_symbols_asked_for_are_read(tmp_path):
    broken = futures_symbol("BBBUSDT", filters=[])
    told = run(tmp_path, exchange_info(broken, futures_symbol()), "--symbol=AAAUSDT")
    assert {symbol for symbol, _ in told} == {"AAAUSDT"}


def with_filter(**fields):
    symbol = futures_symbol()
    for entry in symbol["filters"]:
        entry.update({name: value for name, value in fields.items() if name in entry})
    return exchange_info(futures_symbol("GOODUSDT"), symbol)


HOSTILE = [
    (b"", "not_json"),
    (b"{", "not_json"),
    (b"\xff\xfe{\0}\0", "not_json"),
    (b"[" * 200_000, "not_json"),
    (b'{"symbols": [NaN]}', "not_json"),
    (b'{"symbols": [-Infinity]}', "not_json"),
    (b'{"symbols": [' + b"9" * 10_000 + b"]}", "not_json"),
    (b"[]", "unknown_shape"),
    (b"7", "unknown_shape"),
    (b'{"prices": []}', "unknown_shape"),
    (b'{"symbols": []}', "unknown_shape"),
    (b'{"symbols": {"a": 1}}', "unknown_shape"),
    (b'{"symbols": [1]}', "bad_field"),
    (b'{"symbols": [{"symbol": ["A"]}]}', "bad_field"),
    ({"symbols": [futures_symbol()]}, "no_date"),
    (exchange_info(futures_symbol(), day="2011-01-01"), "bad_date"),
    (exchange_info(futures_symbol(), day="2099-01-01"), "bad_date"),
    (exchange_info(futures_symbol(), futures_symbol()), "several_rows"),
    (exchange_info(futures_symbol(contractSize=100)), "not_supported"),
    (exchange_info(futures_symbol(filters=[])), "bad_filter"),
    (exchange_info(futures_symbol(filters="all")), "bad_field"),
    (exchange_info(futures_symbol(baseAsset="<b>")), "bad_field"),
    (exchange_info(futures_symbol(liquidationFee="2")), "bad_field"),
    (exchange_info(futures_symbol(onboardDate="soon")), "bad_field"),
    (exchange_info(futures_symbol(deliveryDate=ONBOARDED - 86_400_000)), "bad_field"),
    (with_filter(tickSize="0"), "bad_field"),
    (with_filter(tickSize="-1"), "bad_field"),
    (with_filter(tickSize="nan"), "bad_field"),
    (with_filter(stepSize="1e400"), "bad_field"),
    (with_filter(stepSize=True), "bad_field"),
    (with_filter(minQty={"a": 1}), "bad_field"),
    (with_filter(notional="1e13"), "bad_field"),
    (plain_tiers([]), "bad_tiers"),
    (plain_tiers([[0, 5000, 0.01, 50]] * 101), "bad_tiers"),
    (plain_tiers([[0, 5000, 0.01, 50], [6000, 9000, 0.02, 20]]), "bad_tiers"),  # a hole
    (plain_tiers([[0, 5000, 0.01, 50], [5000, 9000, 0.005, 20]]), "bad_tiers"),  # milder
    (plain_tiers([[0, 5000, 0.01, 50], [5000, 9000, 0.02, 20, 7]]), "bad_tiers"),  # another cumulative amount
    (plain_tiers([[0, 5000, 1.5, 50]]), "bad_tiers"),
    (plain_tiers([[0, 5000, 0.01, 0]]), "bad_tiers"),
    (plain_tiers([[0, 5000, -0.01, 50]]), "bad_field"),
    (plain_tiers([[0, 5000, "much", 50]]), "bad_field"),
    (plain_tiers([[0, 5000]]), "bad_field"),
    (plain_tiers([{"floor": 0, "ceiling": 1}]), "bad_field"),
    (plain_tiers("all"), "bad_field"),
    (plain_tiers([[0, 5000, 0.01, 50]], valid_from="spring"), "bad_field"),
    (plain_tiers([[0, 5000, 0.01, 50]], valid_from=7), "bad_field"),
    (plain_tiers([[0, 5000, 0.01, 50]], source="x" * 300), "bad_field"),
    (plain_tiers([[0, 5000, 0.01, 50]], market="spot"), "not_supported"),
    ([{"symbol": "AAAUSDT", "brackets": BRACKETS, "notionalCoef": 1.5}], "not_supported"),
    ([{"symbol": "AAAUSDT", "brackets": [7]}], "bad_field"),
]


@pytest.mark.parametrize(("content", "code"), HOSTILE, ids=[f"{i} {code}" for i, (_, code) in enumerate(HOSTILE)])
def test_a_hostile_file_is_refused_and_nothing_of_it_is_written(tmp_path, content, code):
    with pytest.raises(CommandError, match=rf"Nothing was written\. \[{code}\]"):
        run(tmp_path, content)
    assert not any(model.objects.exists() for model in (Instrument, FilterSet, MarginTierSet))


def test_a_file_of_the_other_market_and_a_symbol_that_is_not_there_are_refused(tmp_path):
    with pytest.raises(CommandError, match="other_market"):
        run(tmp_path, exchange_info(futures_symbol()), "--market=spot")
    with pytest.raises(CommandError, match="ZZZUSDT"):
        run(tmp_path, exchange_info(futures_symbol()), "--symbol=ZZZUSDT")
    assert not Instrument.objects.exists()


def test_a_file_that_is_too_large_or_missing_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("marketdata.rule_imports.MAX_JSON_BYTES", 10)
    with pytest.raises(CommandError, match="too_large"):
        run(tmp_path, exchange_info(futures_symbol()))
    with pytest.raises(CommandError, match="unreadable"):
        call_command("import_instruments", str(tmp_path / "gone.json"))
