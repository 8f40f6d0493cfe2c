import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.ingest.binance_files import parse_candles, parse_funding
from marketdata.ingest.errors import IngestError
from marketdata.ingest.file_names import FileFacts
from marketdata.ingest.packing import SourceFile
from tests.marketdata.candle_makers import HEADER, JANUARY_MS, make_candles, to_csv

FACTS = FileFacts("usdm", "BTCUSDT", "trade", "1h")
FEBRUARY_MS = JANUARY_MS + 31 * 86_400_000
JANUARY = FileFacts("usdm", "BTCUSDT", "trade", "1h", JANUARY_MS, FEBRUARY_MS)
ROW = f"{JANUARY_MS},1,2,0.5,1.5,10,{JANUARY_MS + 3_599_999},15,3,4,6,0"


def parse(text, facts=FACTS):
    data = text if isinstance(text, bytes) else text.encode()
    return parse_candles(SourceFile("f.csv", "0" * 64, data), facts)


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("unit", [1, 1000])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_exchanges_rows_are_read_with_and_without_header_in_ms_and_microseconds(header, unit, newline):
    candles = make_candles(30)
    assert parse(to_csv(candles, header=header, unit=unit).replace("\n", newline)).has_same_rows(candles)


def test_units_are_told_apart_row_by_row():
    candles = make_candles(30)
    first, second = candles.take(slice(0, 10)), candles.take(slice(10, 30))
    mixed = to_csv(first) + to_csv(second, header=False, unit=1000)
    assert parse(mixed).has_same_rows(candles)


@given(
    st.lists(
        st.floats(min_value=1e-8, max_value=1e9, allow_nan=False).map(lambda price: round(price, 8) or 1e-8),
        min_size=1,
        max_size=20,
    )
)
def test_every_number_is_read_as_python_reads_it(prices):
    rows = [f"{JANUARY_MS + i},{p!r},{p!r},{p!r},{p!r},{p!r},0,0,0,0,0,0" for i, p in enumerate(prices)]
    assert parse("\n".join(rows)).close.tolist() == prices


def test_a_count_of_zero_beside_volume_means_not_known():
    text = (
        f"{JANUARY_MS},1,1,1,1,10,0,0,0,0,0,0\n"  # traded, not counted
        f"{JANUARY_MS + 3_600_000},1,1,1,1,0,0,0,0,0,0,0\n"  # not traded
        f"{JANUARY_MS + 7_200_000},1,1,1,1,10,0,10,3,0,0,0\n"  # traded, every taker sold
    )
    candles = parse(text)
    assert candles.n_trades.tolist() == [-1, 0, 3]
    assert np.isnan(candles.quote_volume).tolist() == [True, False, False]
    assert np.isnan(candles.taker_buy_volume).tolist() == [True, False, False]


def test_mark_candles_have_no_count():
    facts = FileFacts("usdm", "BTCUSDT", "mark", "1h")
    assert parse(f"{JANUARY_MS},1,1,1,1,0,0,0,0,0,0,0\n", facts).n_trades.tolist() == [-1]


@pytest.mark.parametrize(
    "text",
    [
        f"time,open,high,low,close,volume\n{JANUARY_MS},1,2,0.5,1.5,10\n",
        f"\ufeffTimestamp,Open,High,Low,Close,Volume\n{JANUARY_MS // 1000},1,2,0.5,1.5,10\n",
        "date;open;high;low;close;volume\n2025-01-01 00:00:00;1;2;0.5;1.5;10\n",
        "date\topen\thigh\tlow\tclose\tvolume\n2025-01-01T00:00:00Z\t1\t2\t0.5\t1.5\t10\n",
        "date,open,high,low,close,volume\n2025-01-01T02:00:00+02:00,1,2,0.5,1.5,10\n",
        "# made by hand\n#\ndate,volume,close,low,high,open\n2025-01-01,10,1.5,0.5,2,1\n",
        f"note,time,open,high,low,close,volume,date\nx,{JANUARY_MS}.0,1,2,0.5,1.5,10,long ago\n",
        f"symbol,time,open,high,low,close,volume\nBTC/USDT:USDT,{JANUARY_MS},1,2,0.5,1.5,10\n",
        f"pair,time,open,high,low,close,volume\nBTCUSDT_PERP,{JANUARY_MS},1,2,0.5,1.5,10\n".replace("_", ""),
        f"Unix,Date,Open,High,Low,Close,Volume BTC,Volume USDT\n{JANUARY_MS},x,1,2,0.5,1.5,10,15\n",
        f"time,open,high,low,close,volume\n{JANUARY_MS}000000,1,2,0.5,1.5,10\n",
        "date,open,high,low,close,volume\n2025-01-01 00:00:00.000000+00:00,1,2,0.5,1.5,10\n",
        "date,open,high,low,close,volume\n2025-01-01 00:00:00 UTC,1,2,0.5,1.5,10\n",
        f"time,open,high,low,close,volume\r\n\r\n{JANUARY_MS},1,2,0.5,1.5,10\r\n\r\n",
        '"time","open","high","low","close","volume"\n"1735689600000","1","2","0.5","1.5","10"\n',
    ],
)
def test_any_csv_with_a_header_is_read(text):
    candles = parse(text)
    assert candles.open_ms.tolist() == [JANUARY_MS]
    values = [candles.open, candles.high, candles.low, candles.close, candles.volume]
    assert [column[0] for column in values] == [1, 2, 0.5, 1.5, 10]
    assert candles.n_trades.tolist() == [-1]


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("", "empty", "no rows"),
        ("\n\n", "empty", "no rows"),
        (HEADER + "\n", "header_only", "no rows"),
        (b"\x89PNG\0\0", "not_text", "not a text"),
        (b"caf\xe9,1\n", "not_utf8", "UTF-8"),
        ("<!DOCTYPE html>\n<html>", "no_column", "open_time"),
        ("1,2,3\n", "wrong_columns", "3 columns"),
        ("time,open,high,low,close\n1,1,1,1,1\n", "no_column", "volume"),
        (f"{ROW}\n{ROW},9\n", "wrong_columns", "line 2: 13 columns"),
        (f"{HEADER}\n{ROW}\n{ROW[:20]}\n", "wrong_columns", "line 3: 4 columns"),
        (f"{HEADER}\n{ROW}\n{ROW.replace('1.5', 'abc')}\n", "not_a_number", "line 3: close is 'abc'"),
        (f"{HEADER}\n{ROW}\n{ROW.replace(',2,', ',,')}\n", "not_a_number", "line 3: high is ''"),
        (f"{HEADER}\n{ROW}\n{ROW.replace(str(JANUARY_MS), 'soon', 1)}\n", "not_a_number", "line 3: open_time"),
        (f"{HEADER}\n{ROW}\n{ROW.replace(str(JANUARY_MS), '99999999999999999999', 1)}\n", "not_a_number", "line 3"),
        (f"{HEADER}\n{ROW}\n-{ROW}\n", "bad_time", "line 3"),
        (f"{HEADER}\n{ROW}\n{ROW.replace(str(JANUARY_MS), '1735689600', 1)}\n", "mixed_units", "line 3"),
        (f"{HEADER}\n\n{ROW}\n\n{ROW.replace(str(JANUARY_MS), '-5', 1)}\n", "bad_time", "line 5"),
        (f"symbol,time,open,high,low,close,volume\nETHUSDT,{JANUARY_MS},1,1,1,1,1\n", "other_symbol", "line 2"),
        (f"{ROW}\n{ROW.replace(',3,4,', ',2.5,4,')}\n", "bad_count", "line 2"),
        (f"{JANUARY_MS}500{ROW[13:]}\n", "bad_time", "between two milliseconds"),
        ("date,open,high,low,close,volume\n2025-01-01,1,1,1,1,1\n2025-01-32,1,1,1,1,1\n", "bad_time", "line 3"),
        ("time,open,high,low,close,volume\nnan,1,1,1,1,1\n", "bad_time", "line 2"),
    ],
)
def test_text_that_cannot_be_candles_is_refused_with_its_line(text, code, says):
    with pytest.raises(IngestError) as error:
        parse(text)
    assert error.value.code == code
    assert error.value.message.startswith("f.csv")
    assert says in error.value.message


def test_rows_outside_the_period_of_the_name_are_refused():
    good = make_candles(24 * 31)
    assert len(parse(to_csv(good), JANUARY)) == 744
    with pytest.raises(IngestError, match=r"line 746: 2025-02-01 00:00") as error:
        parse(to_csv(make_candles(24 * 31 + 1)), JANUARY)
    assert error.value.code == "outside_period"
    with pytest.raises(IngestError, match="line 2: 2024-12-31"):
        parse(to_csv(make_candles(5, first_ms=JANUARY_MS - 3_600_000)), JANUARY)


@pytest.mark.parametrize(("timeframe", "days"), [("3d", 2), ("1w", 6)])
def test_a_long_candle_may_begin_before_the_month_of_its_file(timeframe, days):
    facts = FileFacts("usdm", "BTCUSDT", "trade", timeframe, JANUARY_MS, FEBRUARY_MS)
    first_ms = JANUARY_MS - days * 86_400_000
    assert parse(to_csv(make_candles(2, timeframe, first_ms=first_ms)), facts).open_ms[0] == first_ms
    with pytest.raises(IngestError, match="outside the period"):
        parse(to_csv(make_candles(2, timeframe, first_ms=first_ms - 86_400_000)), facts)


@given(st.binary(max_size=300))
def test_any_bytes_are_rows_or_a_refusal(data):
    with contextlib.suppress(IngestError):
        assert len(parse(data)) > 0


@given(st.text(alphabet='0123456789.,-\ne"; :TZ#abc', max_size=200))
def test_any_text_like_a_csv_is_rows_or_a_refusal(text):
    with contextlib.suppress(IngestError):
        assert len(parse(f"{HEADER}\n{ROW}\n{text}")) > 0


def parse_events(text, facts=None):
    facts = facts or FileFacts("usdm", "BTCUSDT", "funding", "", JANUARY_MS, FEBRUARY_MS)
    return parse_funding(SourceFile("f.csv", "0" * 64, text.encode()), facts)


@pytest.mark.parametrize("header", ["calc_time,funding_interval_hours,last_funding_rate\n", ""])
def test_funding_is_read_with_its_jitter(header):
    funding = parse_events(f"{header}{JANUARY_MS + 2},8,0.0001\n{JANUARY_MS + 28_800_000},4,-0.00002\n")
    assert funding.time_ms.tolist() == [JANUARY_MS + 2, JANUARY_MS + 28_800_000]
    assert funding.rate.tolist() == [0.0001, -0.00002]
    assert funding.interval_hours.tolist() == [8, 4]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (f"{JANUARY_MS},8,5.0", "bad_rate"),
        (f"{JANUARY_MS},8,nan", "bad_rate"),
        (f"{JANUARY_MS},0,0.0001", "bad_interval"),
        (f"{FEBRUARY_MS + 3_600_000},8,0.0001", "outside_period"),
        (f"{JANUARY_MS},8,much", "not_a_number"),
        (f"{JANUARY_MS},8", "wrong_columns"),
    ],
)
def test_funding_that_cannot_be_is_refused(row, code):
    with pytest.raises(IngestError) as error:
        parse_events(f"{row}\n")
    assert error.value.code == code
