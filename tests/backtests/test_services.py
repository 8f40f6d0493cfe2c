"""Requesting, cancelling and deleting runs: what is refused, with which words, and what is left behind."""

from contextlib import contextmanager

import pytest
from django.db import connection

from backtests import artifacts, services
from backtests.engine.errors import RequestError
from backtests.engine.request import RunRequest
from backtests.models import BacktestRun
from tests.builders import build_candles, build_run, build_version

pytestmark = pytest.mark.django_db

GOOD = {"market": "usdm", "symbol": "BTCUSDT", "timeframe": "1h", "from": "2025-01-02", "to": "2025-01-20"}
FAST = {"name": "fast", "type": "int", "default": 5, "min": 2, "max": 50, "step": 1, "choices": None}


@pytest.fixture
def candles(hindsight_home, db):
    return build_candles()


@pytest.fixture
def messages(monkeypatch):
    """What would have gone to the queue."""
    sent = []
    monkeypatch.setattr("backtests.operations.dispatcher.async_task", lambda *args, **options: sent.append(args))
    return sent


def refusal(user, **changes):
    with pytest.raises(RequestError) as caught:
        services.request_from_mapping(user, {**GOOD, "strategy": str(build_version(user).strategy_id), **changes})
    assert not BacktestRun.objects.exists()
    return caught.value.field, caught.value.code


def test_a_request_becomes_a_queued_row_and_then_a_message(
    owner, candles, messages, django_capture_on_commit_callbacks
):
    version = build_version(owner, param_schema=[FAST])
    with django_capture_on_commit_callbacks() as callbacks:
        run = services.request_run(owner, {**GOOD, "params": {"fast": 9}}, strategy_version=version)
        assert messages == []
    callbacks[0]()

    assert messages == [("backtests.tasks.run_backtest", str(run.pk))]
    row = BacktestRun.objects.get()
    assert row.status == "queued"
    assert row.dispatched_at is not None
    request = RunRequest.parse(row.request)
    assert dict(request.params) == {"fast": 9}
    assert request.data_revision == row.data_revision == row.run_data["data_revision"] != ""
    assert (row.owner, row.strategy_version, row.market, row.symbol, row.timeframe) == (
        owner,
        version,
        "usdm",
        "BTCUSDT",
        "1h",
    )


def test_parameters_that_are_not_given_are_filled_in_with_their_defaults(owner, candles, messages):
    version = build_version(owner, param_schema=[FAST])
    run = services.request_run(owner, GOOD, strategy_version=version)
    assert run.request["params"] == {"fast": 5}


def test_a_queue_that_does_not_answer_loses_no_run(owner, candles, monkeypatch, django_capture_on_commit_callbacks):
    def fail(*args, **options):
        raise ConnectionError("no broker")

    monkeypatch.setattr("backtests.operations.dispatcher.async_task", fail)
    with django_capture_on_commit_callbacks(execute=True):
        run = services.request_run(owner, GOOD, strategy_version=build_version(owner))
    assert list(BacktestRun.objects.waiting()) == [run]


def test_the_latest_version_runs_unless_one_is_named(owner, candles, messages):
    first = build_version(owner)
    latest = build_version(owner, source="# newer")
    raw = {**GOOD, "strategy": str(first.strategy_id)}
    assert services.request_from_mapping(owner, raw).strategy_version == latest
    assert services.request_from_mapping(owner, {**raw, "version": "1"}).strategy_version == first


@pytest.mark.parametrize("strategy", [None, "", "no id", "7f7f7f7f-0000-4000-8000-000000000000", ["x"], 5])
def test_a_strategy_that_is_not_there_is_refused(owner, candles, strategy):
    field, code = refusal(owner, strategy=strategy)
    assert field == "strategy"
    assert code in ("missing", "unknown_strategy")


@pytest.mark.parametrize("version", [0, 7, "seven", 10**30, "1.5"])
def test_a_version_that_is_not_there_is_refused(owner, candles, version):
    assert refusal(owner, version=version) == ("version", "unknown_version")


def test_a_strangers_strategy_is_no_strategy(owner, stranger, candles):
    theirs = build_version(stranger).strategy_id
    assert refusal(owner, strategy=str(theirs)) == ("strategy", "unknown_strategy")


def test_an_archived_strategy_is_no_strategy(owner, candles):
    from django.utils import timezone

    strategy = build_version(owner).strategy
    strategy.archived_at = timezone.now()
    strategy.save()
    assert refusal(owner, strategy=str(strategy.pk)) == ("strategy", "unknown_strategy")


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"timeframe": "7m"}, ("timeframe", "unknown_timeframe")),
        ({"to": "2024-01-01"}, ("to", "empty_span")),
        ({"leverage": 500}, ("leverage", "out_of_range")),
        ({"wings": 2}, ("wings", "unknown_field")),
        ({"symbol": "NOSUCHUSDT"}, ("symbols", "unknown_symbol")),
        ({"timeframe": "30m"}, ("timeframe", "no_such_series")),
        ({"to": "2025-03-01"}, ("to", "span_not_covered")),
        ({"data_revision": "old"}, ("data_revision", "data_revised")),
        ({"margin_mode": "both"}, ("margin_mode", "unknown_choice")),
        ({"intrabar_timeframe": "1m"}, ("intrabar_timeframe", "no_such_series")),
        ({"intrabar_timeframe": "2h"}, ("intrabar_timeframe", "not_finer")),
        ({"intrabar_timeframe": "8h", "timeframe": "12h"}, ("intrabar_timeframe", "not_a_divisor")),
    ],
)
def test_what_makes_no_sense_is_refused_by_field_and_code(owner, candles, changes, refused):
    assert refusal(owner, **changes) == refused


def test_a_parameter_out_of_bounds_is_refused_by_its_name(owner, candles):
    version = build_version(owner, param_schema=[FAST])
    with pytest.raises(RequestError, match="50") as caught:
        services.request_run(owner, {**GOOD, "params": {"fast": 51}}, strategy_version=version)
    assert caught.value.field == "params.fast"


def test_absurdly_many_bars_are_refused_before_anything_is_read(owner, db):
    with pytest.raises(RequestError, match="at most 6,000,000 are allowed") as caught:
        services.request_run(
            owner,
            {**GOOD, "timeframe": "1m", "from": "1971-01-01", "to": "2099-01-01"},
            strategy_version=build_version(owner),
        )
    assert (caught.value.field, caught.value.code) == ("to", "too_many_bars")
    with pytest.raises(RequestError, match="6,311,520 bars") as caught:
        services.request_run(
            owner,
            {**GOOD, "timeframe": "1d", "from": "2010-01-01", "to": "2022-01-01", "intrabar_timeframe": "1m"},
            strategy_version=build_version(owner),
        )
    assert caught.value.code == "too_many_bars"


def test_more_active_runs_than_the_quota_are_refused(owner, stranger, candles, messages):
    owner.limit_overrides = {"max_queued_runs": 2}
    owner.save()
    build_run(owner)
    build_run(owner, status="failed")
    build_run(stranger)
    services.request_run(owner, GOOD, strategy_version=build_version(owner))
    with pytest.raises(RequestError, match="You have 2 runs") as caught:
        services.request_run(owner, GOOD, strategy_version=build_version(owner))
    assert (caught.value.field, caught.value.code) == ("", "too_many_runs")


def test_cancel_says_whether_it_did_anything(owner):
    run = build_run(owner)
    assert services.cancel_run(run) is True
    assert services.cancel_run(run) is False


@pytest.mark.parametrize("is_running", [True, False])
def test_an_active_run_cannot_be_deleted(owner, is_running):
    run = build_run(owner)
    if is_running:
        BacktestRun.objects.claim(run.pk)
    with pytest.raises(RequestError) as caught:
        services.delete_run(run)
    assert caught.value.code == "run_active"
    assert BacktestRun.objects.filter(pk=run.pk).exists()


def test_deleting_a_run_takes_its_files_along(owner, hindsight_home, django_capture_on_commit_callbacks):
    run = build_run(owner, status="succeeded")
    folder = artifacts.root() / str(run.pk) / "1-x"
    folder.mkdir(parents=True)
    with django_capture_on_commit_callbacks(execute=True):
        services.delete_run(run)
    assert not BacktestRun.objects.exists()
    assert not folder.parent.exists()


def test_deleting_a_deleted_run_is_no_error(owner):
    run = build_run(owner, status="failed")
    services.delete_run(run)
    services.delete_run(run)


@pytest.mark.django_db(transaction=True)
def test_a_database_without_room_refuses_with_a_reason_and_works_again_when_there_is_some(owner, candles, messages):
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite can be told how large it may get")
    version = build_version(owner)
    services.request_run(owner, GOOD, strategy_version=version)
    with limited_database():
        for _ in range(40):  # its last page has room for a few
            try:
                services.request_run(owner, GOOD, strategy_version=version)
            except RequestError as error:
                refused = error
                break
    assert refused.code == "storage_full"
    n_before = BacktestRun.objects.count()
    services.request_run(owner, GOOD, strategy_version=version)
    assert BacktestRun.objects.count() == n_before + 1


@contextmanager
def limited_database():
    """As on a full disk: the file gets no further page."""
    with connection.cursor() as cursor:
        pages = cursor.execute("PRAGMA page_count").fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {pages}")
        try:
            yield
        finally:
            cursor.execute("PRAGMA max_page_count = 1073741823")
