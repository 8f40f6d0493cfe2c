import json
import os
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from marketdata.models import Instrument, Segment
from tests.marketdata.candle_makers import make_candles, to_csv, write_daily

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]


def run(*args, **kwargs):
    out = StringIO()
    call_command(*args, stdout=out, **kwargs)
    return out.getvalue()


def test_import_says_what_came_of_it(tmp_path):
    path = write_daily(tmp_path, "2025-01-01", make_candles(24))
    assert "BTCUSDT usdm 1h 2025-01: new, 24 rows, revision 1" in run("import_candles", str(path))
    assert "1 unchanged" in run("import_candles", str(path))


def test_import_as_json_is_one_object(tmp_path):
    path = write_daily(tmp_path, "2025-01-01", make_candles(24))
    told = json.loads(run("import_candles", str(path), "--json"))
    assert (told["is_complete"], told["n_files"], told["n_rows"], told["refused"]) == (True, 1, 24, [])
    expected = {"series": "BTCUSDT usdm 1h", "month": "2025-01", "change": "new", "rows": 24, "revision": 1}
    assert told["segments"] == [{**expected, "quality": ""}]


def test_import_tells_what_is_odd_about_the_rows(tmp_path):
    path = write_daily(tmp_path, "2025-01-01", make_candles(24).take(np.delete(np.arange(24), [5, 9])))
    assert "new, 22 rows, revision 1 (2 gaps)" in run("import_candles", str(path))


def test_a_file_name_that_is_no_text_is_named_all_the_same(tmp_path):
    path = os.fsencode(tmp_path) + b"/BTCUSDT-1h-\xff.csv"
    try:
        os.close(os.open(path, os.O_CREAT))
    except OSError:
        pytest.skip("this file system takes only names that are text")
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("import_candles", str(tmp_path), stdout=out)
    assert "BTCUSDT-1h-\\udcff.csv" in out.getvalue()


def test_an_import_that_is_not_complete_fails_the_command(tmp_path):
    good = write_daily(tmp_path, "2025-01-01", make_candles(24))
    out = StringIO()
    with pytest.raises(CommandError, match=r"1 of 2 files taken in.* 1 refused"):
        call_command("import_candles", str(good), str(tmp_path / "gone.csv"), stdout=out)
    assert "gone.csv does not exist" in out.getvalue()
    assert Segment.objects.count() == 1


def test_list_prints_one_object_a_series(tmp_path):
    candles = make_candles(24)
    path = tmp_path / "futures/BTCUSDT-1h-2025-01-01.csv"
    path.parent.mkdir()
    lines = to_csv(candles).splitlines()
    path.write_text("\n".join([*lines[:5], lines[4], *lines[7:]]) + "\n")
    run("import_candles", str(path))
    [line] = run("list_candles", "--json").splitlines()
    told = json.loads(line)
    assert told.pop("revision")
    assert told.pop("bytes")
    assert told == {
        "market": "usdm",
        "symbol": "BTCUSDT",
        "kind": "trade",
        "timeframe": "1h",
        "origin": "exchange",
        "owner": None,
        "rows": 22,
        "first": "2025-01-01T00:00:00Z",
        "last": "2025-01-01T23:00:00Z",
        "gaps": [["2025-01-01T04:00:00Z", "2025-01-01T06:00:00Z"]],
        "no_trade_rows": 0,
        "off_grid_rows": 0,
        "duplicates": 1,
    }


def test_list_for_people_names_what_is_odd(tmp_path):
    assert "No candles are held" in run("list_candles")
    run("make_sample_candles")
    lines = run("list_candles").splitlines()
    assert len(lines) == 2
    assert all("SYNTHETIC" in line for line in lines)


def test_load_instruments_is_idempotent():
    assert "rows written" in run("load_instruments")
    assert "there already" in run("load_instruments")
    assert Instrument.objects.filter(symbol="BTCUSDT").count() == 2


def test_fetch_sample_says_where_it_came_from(settings):
    settings.ARCHIVE_URL, settings.ARCHIVE_LISTING_URL = "http://127.0.0.1:1", ""
    assert "synthetic" in run("fetch_sample_candles")
    assert "held already" in run("fetch_sample_candles")


def test_the_command_takes_the_six_years_with_their_outages(shared_data):
    name = "other/binance_spot_BTCUSDT-1h_20170817-20231231_gapped.csv.gz"
    run("import_candles", str(shared_data / name), "--market", "spot", "--symbol", "BTCUSDT", "--timeframe", "1h")
    told = json.loads(run("list_candles", "--json"))
    assert (told["rows"], told["off_grid_rows"], len(told["gaps"])) == (55_765, 43, 28)
    assert told["first"] == "2017-08-17T04:00:00Z"
