import datetime as dt
from dataclasses import replace

import pytest

from marketdata.fetch.archive import Archive
from marketdata.fetch.errors import ArchiveError, FetchRefused
from marketdata.fetch.fetch_request import FetchRequest
from marketdata.fetch.plan import plan_series
from marketdata.fetch.shelf import Shelf
from marketdata.fetch.spans import parse_period
from tests.marketdata.archive_makers import series, serve

TODAY = dt.date(2025, 4, 10)
RAW = {"market": "usdm", "symbols": "BTCUSDT", "timeframe": "1h", "from": "2025-01", "to": "2025-03"}


@pytest.fixture(params=["listing", "asking"])
def archive(request, loopback_archive):
    """Both ways of finding out what there is must lead to the same plan."""
    loopback_archive.lists = request.param == "listing"
    return Archive(loopback_archive.url, loopback_archive.url, timeout_s=2, n_tries=2, backoff_s=0.01)


def plan(archive, first, last, *, today=TODAY, held_names=(), is_open=False, **where):
    wanted = replace(series(**where), from_day=parse_period(first)[0], end_day=parse_period(last)[1], is_open=is_open)
    return plan_series(Shelf(archive, wanted), wanted, today, held_names)


def periods(found):
    return [file.period for file in found.files]


def lacks(found):
    return [(missing.period, missing.reason) for missing in found.missing]


def test_whole_months_are_taken_from_monthlies(archive, loopback_archive):
    serve(loopback_archive, "2025-01", "2025-02", "2025-02-01", "2025-03")
    found = plan(archive, "2025-01", "2025-02")
    assert (periods(found), lacks(found)) == (["2025-01", "2025-02"], [])


def test_a_month_without_a_monthly_is_made_of_dailies(archive, loopback_archive):
    serve(loopback_archive, "2025-02", *(f"2025-03-{day:02}" for day in range(1, 32) if day not in (7, 8, 20)))
    found = plan(archive, "2025-02", "2025-03", today=dt.date(2025, 9, 1))
    assert periods(found)[:3] == ["2025-02", "2025-03-01", "2025-03-02"]
    assert len(periods(found)) == 29
    assert lacks(found) == [("2025-03-07 to 2025-03-08", "not_in_archive"), ("2025-03-20", "not_in_archive")]


def test_a_part_of_a_month_is_made_of_dailies_while_they_suffice(archive, loopback_archive):
    serve(loopback_archive, "2025-02", "2025-02-10", "2025-02-11")
    assert periods(plan(archive, "2025-02-10", "2025-02-11")) == ["2025-02-10", "2025-02-11"]
    assert periods(plan(archive, "2025-02-10", "2025-02-12")) == ["2025-02"]


def test_a_part_of_a_month_that_is_held_needs_no_dailies(archive, loopback_archive):
    serve(loopback_archive, "2025-02", "2025-02-10")
    found = plan(archive, "2025-02-10", "2025-02-10", held_names={"BTCUSDT-1h-2025-02.zip"})
    assert periods(found) == ["2025-02"]


def test_what_is_not_over_or_not_published_is_said_so(archive, loopback_archive):
    serve(loopback_archive, *(f"2025-04-{day:02}" for day in range(1, 9)))
    found = plan(archive, "2025-04", "2025-05")
    assert len(periods(found)) == 8
    assert lacks(found) == [("2025-04-09", "not_published"), ("2025-04-10 to 2025-05-31", "not_over")]
    assert "not published yet" in found.missing[0].message


def test_an_open_span_ends_with_the_newest_file(archive, loopback_archive):
    serve(loopback_archive, "2025-02", "2025-03", "2025-04-01", "2025-04-02")
    found = plan(archive, "2025-02", "2025-04-09", is_open=True)
    assert (periods(found), lacks(found)) == (["2025-02", "2025-03", "2025-04-01", "2025-04-02"], [])


def test_an_open_span_still_names_holes_in_its_middle(archive, loopback_archive):
    serve(loopback_archive, "2025-04-01", "2025-04-03")
    found = plan(archive, "2025-04-01", "2025-04-09", is_open=True)
    assert lacks(found) == [("2025-04-02", "not_published")]


def test_funding_and_candles_longer_than_a_day_have_monthlies_only(archive, loopback_archive):
    serve(loopback_archive, "2025-02", kind="funding", timeframe="")
    found = plan(archive, "2025-02-10", "2025-04-02", kind="funding", timeframe="")
    assert periods(found) == ["2025-02"]
    assert lacks(found) == [("2025-03", "not_published"), ("2025-04-01 to 2025-04-02", "not_over")]
    assert not [key for key in loopback_archive.requests if "daily" in key]


def test_a_series_that_the_archive_does_not_know_is_named_once(archive, loopback_archive):
    serve(loopback_archive, "2024-12")
    found = plan(archive, "2024-01", "2025-03", symbol="NOSUCHUSDT")
    assert [(missing.period, missing.reason) for missing in found.missing] == [("2024-01 to 2025-03", "nothing")]
    assert "right?" in found.missing[0].message


def test_an_archive_that_does_not_answer_stops_the_plan():
    with pytest.raises(ArchiveError, match="could not be read"):
        plan(Archive("http://127.0.0.1:9", n_tries=1), "2025-01", "2025-01")


def test_with_a_listing_what_lies_before_the_first_file_is_named(loopback_archive):
    serve(loopback_archive, "2024-12", "2025-01")
    archive = Archive(loopback_archive.url, loopback_archive.url)
    found = plan(archive, "2024-10", "2025-01")
    assert lacks(found) == [("2024-10 to 2024-11", "before_first")]
    assert found.n_bytes > 0


def test_a_listing_that_fails_is_made_up_for_by_asking(loopback_archive):
    serve(loopback_archive, "2025-01")
    loopback_archive.faults[""] = [500, 500]
    archive = Archive(loopback_archive.url, loopback_archive.url, n_tries=2, backoff_s=0.01)
    found = plan(archive, "2025-01", "2025-01")
    assert periods(found) == ["2025-01"]
    assert "one by one" in found.shelf.note


def refuse(**changes):
    with pytest.raises(FetchRefused) as error:
        FetchRequest.parse({**RAW, **changes}, TODAY)
    return error.value.field, error.value.code


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"market": "cm"}, ("market", "unknown_market")),
        ({"timeframe": "7m"}, ("timeframe", "unknown_timeframe")),
        ({"symbols": ""}, ("symbols", "missing")),
        ({"symbols": None}, ("symbols", "missing")),
        ({"symbols": {"a": 1}}, ("symbols", "missing")),
        ({"symbols": "../../etc/passwd"}, ("symbols", "bad_symbol")),
        ({"symbols": ["BTCUSDT/../ETHUSDT"]}, ("symbols", "bad_symbol")),
        ({"symbols": "BTC%2fUSDT"}, ("symbols", "bad_symbol")),
        ({"symbols": "BTCUSDT?x"}, ("symbols", "bad_symbol")),
        ({"symbols": ["BTCUSDT\n"], "from": "x"}, ("from", "bad_date")),
        ({"symbols": "ＢＴＣＵＳＤＴ"}, ("symbols", "bad_symbol")),
        ({"symbols": [f"A{i}USDT" for i in range(51)]}, ("symbols", "too_many")),
        ({"from": ""}, ("from", "missing")),
        ({"from": "January"}, ("from", "bad_date")),
        ({"from": "2025-13"}, ("from", "bad_date")),
        ({"from": "2025-02-30"}, ("from", "bad_date")),
        ({"from": "1999-01"}, ("from", "too_early")),
        ({"from": "2025-05"}, ("from", "in_future")),
        ({"from": "2025-03", "to": "2025-01"}, ("to", "before_from")),
        ({"to": "2099-01"}, ("to", "in_future")),
        ({"to": "9999-12"}, ("to", "bad_date")),
        ({"mark": "perhaps"}, ("mark", "not_a_boolean")),
        ({"market": "spot", "funding": True}, ("funding", "spot_has_none")),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(changes, expected):
    assert refuse(**changes) == expected


def test_a_request_survives_its_journey_as_json():
    raw = {**RAW, "symbols": "btcusdt, ETHUSDT BTCUSDT", "mark": "on", "funding": True, "to": ""}
    request = FetchRequest.parse(raw, TODAY)
    assert request.symbols == ("BTCUSDT", "ETHUSDT")
    assert FetchRequest.parse(request.to_json(), TODAY) == request
    assert [str(wanted) for wanted in request.wanted()] == [
        "BTCUSDT usdm 1h",
        "BTCUSDT usdm mark 1h",
        "BTCUSDT usdm funding",
        "ETHUSDT usdm 1h",
        "ETHUSDT usdm mark 1h",
        "ETHUSDT usdm funding",
    ]


def test_both_ends_of_a_span_are_in_it():
    request = FetchRequest.parse({**RAW, "from": "2025-01-15", "to": "2025-02"}, TODAY)
    assert (request.from_day, request.end_day) == (dt.date(2025, 1, 15), dt.date(2025, 3, 1))
    assert [str(month) for month, _, _ in request.wanted()[0].months()] == ["2025-01-01", "2025-02-01"]
