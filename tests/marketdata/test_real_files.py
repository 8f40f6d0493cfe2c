"""What is odd about the exchange's real files is found: no more of it, no less."""

import csv
import datetime as dt
import gzip
import json
import shutil
from dataclasses import replace
from io import StringIO

import pytest
from django.core.management import call_command

from marketdata.home import candle_store
from marketdata.imports import import_paths
from marketdata.models import Segment
from marketdata.segments import Change, ref_of
from tests.marketdata.candle_makers import to_csv

pytestmark = [pytest.mark.django_db]

GAPPED = "other/binance_spot_BTCUSDT-1h_20170817-20231231_gapped.csv.gz"
HOUR = dt.timedelta(hours=1)


def list_candles() -> list[dict]:
    out = StringIO()
    call_command("list_candles", "--json", stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.fixture
def gapped(hindsight_home, shared_data):
    """The times in the file with outages, read by hand; and what the catalogue says of it."""
    path = shared_data / GAPPED
    with gzip.open(path, "rt") as lines:
        rows = csv.DictReader(line for line in lines if not line.startswith("#"))
        times = [moment(row["date"]) for row in rows]
    assert import_paths([path], market="spot", symbol="BTCUSDT", timeframe="1h").is_complete
    [told] = list_candles()
    return times, told


def test_exactly_the_missing_hours_of_six_years_are_gaps(gapped):
    times, told = gapped
    there = {time for time in times if time == time.replace(minute=0, second=0)}
    first, last = min(there), max(there)
    hours = [first + i * HOUR for i in range((last - first) // HOUR + 1)]
    missing = [hour for hour in hours if hour not in there]
    gaps = [tuple(map(dt.datetime.fromisoformat, gap)) for gap in told["gaps"]]
    listed = [start + i * HOUR for start, end in gaps for i in range((end - start) // HOUR)]
    assert listed == missing
    assert (len(gaps), len(missing)) == (28, 170)


def test_exactly_the_rows_off_the_hourly_grid_are_flagged_and_kept_as_they_are(gapped):
    times, told = gapped
    odd = [time for time in times if (time.minute, time.second) != (0, 0)]
    assert (len(odd), min(odd), max(odd)) == (43, moment("2018-02-09 09:28:14"), moment("2018-02-11 03:28:14"))
    assert (told["off_grid_rows"], told["rows"], told["duplicates"]) == (43, len(times), 0)
    quality = {segment.month: segment.quality for segment in Segment.objects.all()}
    assert {month for month, report in quality.items() if report["n_off_grid"]} == {dt.date(2018, 2, 1)}
    february = quality[dt.date(2018, 2, 1)]
    assert february["off_grid_first_ms"] == min(odd).timestamp() * 1000
    assert february["off_grid_last_ms"] == max(odd).timestamp() * 1000
    rows = candle_store().read_candles([ref_of(segment) for segment in Segment.objects.order_by("month")])
    assert rows.open_ms.tolist() == [round(time.timestamp() * 1000) for time in sorted(times)]


def held_state(home):
    rows = list(Segment.objects.order_by("pk").values())
    files = {path.name: path.read_bytes() for path in (home / "candles").rglob("*") if path.is_file()}
    return rows, files, list_candles()


def test_both_layouts_imported_twice_change_nothing(hindsight_home, shared_data):
    folders = [
        shared_data / "binance",
        shared_data / "archive/data/spot/monthly",
        shared_data / "archive/data/futures/um",
    ]
    folders = [folder for folder in folders if folder.is_dir()]
    assert import_paths(folders).is_complete
    before = held_state(hindsight_home)
    outcome = import_paths(folders)
    assert outcome.is_complete
    assert outcome.count(Change.NEW) == outcome.count(Change.REVISED) == 0
    assert held_state(hindsight_home) == before


def test_a_revised_file_makes_a_new_revision_of_its_month_alone(hindsight_home, shared_data, tmp_path):
    source = shared_data / "binance/futures/BTCUSDT/1h"
    other = shared_data / "archive/data/spot/monthly/klines/BTCUSDT/1h"
    import_paths([source, other])
    before = {(row["market"], row["symbol"]): row["revision"] for row in list_candles()}
    [segment] = Segment.objects.filter(series__instrument__market="usdm")
    rows = candle_store().read_candles([ref_of(segment)]).take(slice(24, 48))
    rows = replace(rows, volume=rows.volume + 1)
    revised = tmp_path / "futures/BTCUSDT/1h" / "BTCUSDT-1h-2025-01-02.csv"
    revised.parent.mkdir(parents=True)
    revised.write_text(to_csv(rows))
    outcome = import_paths([revised])
    assert [(change.month, change.change, change.revision) for _, change in outcome.changes] == [
        (dt.date(2025, 1, 1), Change.REVISED, 2)
    ]
    after = {(row["market"], row["symbol"]): row["revision"] for row in list_candles()}
    assert after["usdm", "BTCUSDT"] != before["usdm", "BTCUSDT"]
    assert after["spot", "BTCUSDT"] == before["spot", "BTCUSDT"]
    candle_store().verify(ref_of(segment))  # the old file stays for the runs that pin it


def test_funding_stamps_keep_their_jitter_and_the_months_their_intervals(hindsight_home, shared_data):
    folder = shared_data / "archive/data/futures/um/monthly/fundingRate/BTCUSDT"
    assert import_paths([folder]).is_complete
    [told] = list_candles()
    assert (told["kind"], told["gaps"], told["duplicates"]) == ("funding", [], 0)
    events = candle_store().read_funding([ref_of(segment) for segment in Segment.objects.order_by("month")])
    off = events.time_ms % 3_600_000
    assert set(events.interval_hours.tolist()) == {8.0}
    assert (off > 0).any()
    assert max(off) < 1000


def test_a_copy_of_the_archive_with_kinds_that_are_not_used_is_taken_with_a_note(hindsight_home, shared_data, tmp_path):
    source = shared_data / "archive/data/futures/um/monthly/markPriceKlines/BTCUSDT"
    for kind in ("markPriceKlines", "indexPriceKlines", "premiumIndexKlines"):
        shutil.copytree(source, tmp_path / "data/futures/um/monthly" / kind / "BTCUSDT")
    outcome = import_paths([tmp_path])
    assert outcome.is_complete
    assert {row["kind"] for row in list_candles()} == {"mark"}
    assert outcome.notes[0].startswith("skipped:")
