from pathlib import Path

import pytest

from marketdata.ingest.errors import IngestError
from marketdata.ingest.file_names import find_files, sniff_path

FUTURES = "data/futures/um/monthly"


@pytest.mark.parametrize(
    ("path", "market", "symbol", "kind", "timeframe", "month"),
    [
        (f"{FUTURES}/klines/BTCUSDT/5m/BTCUSDT-5m-2025-01.zip", "usdm", "BTCUSDT", "trade", "5m", "2025-01"),
        ("data/spot/daily/klines/ETHUSDT/1h/ETHUSDT-1h-2024-12-31.zip", "spot", "ETHUSDT", "trade", "1h", "2024-12"),
        (f"{FUTURES}/markPriceKlines/BTCUSDT/8h/BTCUSDT-8h-2025-03.zip", "usdm", "BTCUSDT", "mark", "8h", "2025-03"),
        (f"{FUTURES}/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2025-03.zip", "usdm", "BTCUSDT", "funding", "", "2025-03"),
        ("data/binance/futures/BTCUSDT/1d/BTCUSDT-1d-2025-01-31.csv", "usdm", "BTCUSDT", "trade", "1d", "2025-01"),
        ("futures/BTCUSDT_220325/1d/BTCUSDT_220325-1d-2022-01.zip", "usdm", "BTCUSDT_220325", "trade", "1d", "2022-01"),
    ],
)
def test_both_layouts_are_read(path, market, symbol, kind, timeframe, month):
    facts = sniff_path(Path("/somewhere") / path)
    assert (facts.market, facts.symbol, facts.kind, facts.timeframe) == (market, symbol, kind, timeframe)
    assert facts.month == month


def test_folders_say_what_a_name_does_not():
    facts = sniff_path(Path("/futures/project/data/spot/ETHUSDT/1h/all.csv"))
    assert (facts.market, facts.symbol, facts.timeframe, facts.has_period) == ("spot", "ETHUSDT", "1h", False)
    with pytest.raises(IngestError, match="--symbol"):
        sniff_path(Path("/data/spot/mine/1h/all.csv"))


@pytest.mark.parametrize("name", ["BTCUSDT-1h-2025-01-011.csv", "BTCUSDT-1h-2025-01-0.csv", "BTCUSDT-1h-2025-01x.csv"])
def test_a_period_that_goes_on_is_none(name):
    with pytest.raises(IngestError) as error:
        sniff_path(Path("futures") / name)
    assert error.value.code == "no_symbol"


def test_a_copy_that_a_browser_numbered_keeps_its_period():
    assert sniff_path(Path("futures/BTCUSDT-1h-2025-01 (1).zip")).month == "2025-01"


def test_a_day_is_a_day_and_a_month_a_month():
    day = sniff_path(Path("futures/BTCUSDT-1h-2024-02-29.csv"))
    month = sniff_path(Path("futures/BTCUSDT-1h-2024-02.csv"))
    assert (day.to_ms - day.from_ms, month.to_ms - month.from_ms) == (86_400_000, 29 * 86_400_000)
    assert (day.is_monthly, month.is_monthly) == (False, True)


def test_what_the_path_does_not_say_is_asked_for():
    with pytest.raises(IngestError, match="--market") as error:
        sniff_path(Path("candles.csv"))
    assert error.value.code == "no_market"
    facts = sniff_path(Path("candles.csv"), market="spot", symbol="btcusdt", timeframe="1h")
    assert (facts.market, facts.symbol, facts.timeframe, facts.has_period) == ("spot", "BTCUSDT", "1h", False)


@pytest.mark.parametrize(
    ("path", "given", "code"),
    [
        ("futures/ETHUSDT/1h/BTCUSDT-1h-2025-01-01.csv", {}, "other_symbol"),
        ("futures/BTCUSDT/5m/BTCUSDT-1h-2025-01-01.csv", {}, "other_timeframe"),
        ("futures/BTCUSDT-1h-2025-01-01.csv", {"symbol": "ETHUSDT"}, "other_symbol"),
        ("futures/BTCUSDT-1h-2025-01-01.csv", {"market": "spot"}, "other_market"),
        ("futures/BTCUSDT-1h-2025-01-01.csv", {"timeframe": "5m"}, "other_timeframe"),
        ("futures/BTCUSDT-1h-2025-13-01.csv", {}, "bad_name"),
        ("futures/BTCUSDT-1h-2025-02-30.csv", {}, "bad_name"),
        ("futures/BTCUSDT-1s-2025-01.zip", {}, "unused_kind"),
        ("futures/BTCUSDT-1mo-2025-01.zip", {}, "unused_kind"),
        ("candles.csv", {"market": "usdm", "symbol": "X", "timeframe": "7m"}, "unknown_timeframe"),
        ("candles.csv", {"market": "forex", "symbol": "X", "timeframe": "1m"}, "unknown_market"),
        ("data/futures/cm/monthly/BTCUSD-1h-2025-01.zip", {}, "unknown_market"),
        (f"{FUTURES}/indexPriceKlines/BTCUSDT/1h/BTCUSDT-1h-2025-01.zip", {}, "unused_kind"),
    ],
)
def test_a_path_that_contradicts_itself_or_the_command_is_refused(path, given, code):
    with pytest.raises(IngestError) as error:
        sniff_path(Path(path), **given)
    assert error.value.code == code
    assert Path(path).name in error.value.message


def test_a_folder_gives_its_candle_files_in_a_fixed_order(tmp_path):
    for name in ("b/B.csv", "a/A.ZIP", "a/A.ZIP.CHECKSUM", ".hidden.csv", "notes.txt", "c.csv.gz"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert [path.name for path in find_files(tmp_path)] == ["A.ZIP", "B.csv", "c.csv.gz"]
