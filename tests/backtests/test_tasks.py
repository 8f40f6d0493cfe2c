"""What a worker does with a run, with a fake in the place of the strategy's process."""

import logging
import os
import signal
import threading
import time
from datetime import timedelta

import numpy as np
import pytest
from django.db import OperationalError
from django.db.models import Value
from django.db.models.functions import Now

from backtests import artifacts, services, tasks
from backtests.engine.errors import DataError
from backtests.engine.kernels.types import EQUITY, FILL, FUNDING, LIQUIDATION, ORDER, TRADE
from backtests.engine.result import EngineResult
from backtests.models import BacktestRun
from backtests.operations import attempt, heartbeat
from backtests.runner.outcome import Failure, Progress, RunOutcome
from tests.builders import build_candles, build_version

# The beat comes from a thread of its own, which sees only what is committed.
pytestmark = pytest.mark.django_db(transaction=True)

REQUEST = {"market": "usdm", "symbol": "BTCUSDT", "timeframe": "1h", "from": "2025-01-02", "to": "2025-01-20"}


@pytest.fixture(autouse=True)
def quick_beats(monkeypatch):
    monkeypatch.setattr(heartbeat, "PERIOD_S", 0.05)


@pytest.fixture
def run(owner, hindsight_home, monkeypatch):
    monkeypatch.setattr("backtests.operations.dispatcher.async_task", lambda *args, **options: None)
    build_candles()
    return services.request_run(owner, REQUEST, strategy_version=build_version(owner))


def flat_result(job):
    """What a strategy that never trades leaves behind."""
    n_bars = job.request.n_bars
    equity = np.zeros(n_bars, EQUITY)
    equity["time_ms"] = job.request.from_ms + job.request.timeframe_ms * np.arange(1, n_bars + 1)
    for name in ("wallet_balance", "margin_balance"):
        equity[name] = job.request.initial_balance
    nothing = {
        name: np.zeros(0, dtype)
        for name, dtype in (
            ("orders", ORDER),
            ("fills", FILL),
            ("trades", TRADE),
            ("funding", FUNDING),
            ("liquidations", LIQUIDATION),
        )
    }
    return EngineResult(
        **nothing,
        equity=equity,
        tags=(),
        initial_balance=job.request.initial_balance,
        is_ruined=False,
        n_bars=n_bars,
        first_bar=0,
    )


def succeed(job, on_progress, should_stop):
    return RunOutcome("succeeded", result=flat_result(job), jail_level="inner")


@pytest.fixture
def execute_with(monkeypatch):
    return lambda execute: monkeypatch.setattr(attempt, "execute", execute)


def reread(run):
    return BacktestRun.objects.get(pk=run.pk)


def wait_until(is_so, seconds=5.0):
    give_up_at = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < give_up_at, "waited too long"
        time.sleep(0.01)


def run_until_told_to_stop(job, on_progress, should_stop):
    wait_until(should_stop)
    return RunOutcome("cancelled")


def folders():
    return [path for path in artifacts.root().glob("*/*") if path.is_dir()]


def test_a_run_that_succeeds_has_its_files_and_its_summary(run, execute_with):
    execute_with(succeed)
    tasks.run_backtest(str(run.pk))

    row = reread(run)
    assert row.status == "succeeded"
    assert (row.jail_level, row.attempt, row.is_ruined) == ("inner", 1, False)
    assert row.summary["n_bars"] == 18 * 24
    facts, tables = artifacts.load(artifacts.folder_of(row.artifact_dir))
    assert facts["result_hash"] == row.result_hash
    assert len(tables["equity"]) == 18 * 24
    assert len(folders()) == 1


def test_the_feed_and_the_source_reach_the_execution(run, execute_with):
    seen = []

    def look(job, on_progress, should_stop):
        seen.append(job)
        return succeed(job, on_progress, should_stop)

    execute_with(look)
    tasks.run_backtest(str(run.pk))
    assert len(seen[0].feed.symbols[0].bars) == 18 * 24
    assert "class BuyOnce" in seen[0].source
    assert seen[0].limits.run_wall_clock_s == 600


def test_a_duplicate_message_does_nothing(run, execute_with):
    execute_with(succeed)
    tasks.run_backtest(str(run.pk))
    before = reread(run)
    tasks.run_backtest(str(run.pk))
    assert (reread(run).attempt, reread(run).artifact_dir) == (before.attempt, before.artifact_dir)


def test_progress_reaches_the_row_while_the_run_goes_on(run, execute_with):
    seen = []

    def report(job, on_progress, should_stop):
        assert on_progress(Progress("running", n_done=7, n_total=10, equity=1.5))
        wait_until(lambda: reread(run).stage == "running")
        seen.append(reread(run).progress)
        return succeed(job, on_progress, should_stop)

    execute_with(report)
    tasks.run_backtest(str(run.pk))
    assert (seen[0]["n_done"], seen[0]["n_total"], seen[0]["equity"]) == (7, 10, 1.5)
    assert reread(run).stage == ""


def test_the_lease_is_renewed_even_while_nothing_is_reported(run, execute_with):
    def sleep(job, on_progress, should_stop):
        first = reread(run).lease_until
        wait_until(lambda: reread(run).lease_until > first)
        return succeed(job, on_progress, should_stop)

    execute_with(sleep)
    tasks.run_backtest(str(run.pk))
    assert reread(run).status == "succeeded"


def test_a_strategy_that_fails_leaves_line_and_cause(run, execute_with):
    failure = Failure("strategy_error", "division by zero", line=7, source_line="x = 1 / 0", log_tail=("bar 100",))
    execute_with(lambda *_: RunOutcome("failed", failure=failure, jail_level="full"))
    tasks.run_backtest(str(run.pk))

    row = reread(run)
    assert (row.status, row.failure_code, row.jail_level) == ("failed", "strategy_error", "full")
    assert (row.failure["message"], row.failure["line"], row.failure["log_tail"]) == (
        "division by zero",
        7,
        ["bar 100"],
    )


def test_a_child_that_something_killed_is_tried_three_times(run, execute_with):
    killed = Failure("killed", "The process of the strategy was ended by SIGKILL.")
    execute_with(lambda *_: RunOutcome("failed", failure=killed))
    for n_lost in (1, 2):
        tasks.run_backtest(str(run.pk))
        assert (reread(run).status, reread(run).n_lost) == ("queued", n_lost)
    tasks.run_backtest(str(run.pk))
    assert (reread(run).status, reread(run).failure_code, reread(run).attempt) == ("failed", "killed", 3)


def test_a_database_that_stays_away_costs_the_attempt_and_not_the_run(run, execute_with, monkeypatch):
    def fail(*_, **__):
        raise OperationalError("the database system is shutting down")

    monkeypatch.setattr(attempt, "DATABASE_PATIENCE_S", 0.0)
    monkeypatch.setattr(attempt, "store_report", fail)
    execute_with(succeed)
    tasks.run_backtest(str(run.pk))
    assert (reread(run).status, reread(run).n_lost) == ("queued", 0)


def test_an_error_of_ours_shows_a_number_and_keeps_the_details_in_the_log(run, execute_with, caplog):
    def break_down(*_):
        raise RuntimeError("password=hunter2")

    execute_with(break_down)
    with caplog.at_level(logging.ERROR):
        tasks.run_backtest(str(run.pk))
    row = reread(run)
    assert (row.status, row.failure_code) == ("failed", "internal")
    assert "hunter2" not in str(row.failure)
    error_id = row.failure["message"].rstrip(".").split()[-1]
    assert any(error_id in record.getMessage() for record in caplog.records)


def test_candles_that_are_gone_are_named_as_the_cause(run, execute_with, hindsight_home):
    for path in (hindsight_home / "candles").rglob("*.parquet"):
        path.unlink()
    for path in (hindsight_home / "cache").rglob("*.arrow"):
        path.unlink()
    execute_with(succeed)
    tasks.run_backtest(str(run.pk))
    assert reread(run).failure_code == "data_error"


def test_a_domain_error_keeps_its_code(run, execute_with):
    def refuse(*_):
        raise DataError("Bar 3 has a price that is not above zero.")

    execute_with(refuse)
    tasks.run_backtest(str(run.pk))
    assert (reread(run).failure_code, reread(run).failure["message"][:5]) == ("data_error", "Bar 3")


def test_a_full_disk_fails_the_run_and_says_so(run, execute_with, monkeypatch):
    def refuse(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("backtests.artifacts.pq.write_table", refuse)
    execute_with(succeed)
    tasks.run_backtest(str(run.pk))
    assert reread(run).failure_code == "storage"
    assert "No space left" in reread(run).failure["message"]
    assert folders() == []


def test_a_cancelled_run_stops_within_a_beat_and_ends_cancelled(run, execute_with):
    def cancel_and_wait(job, on_progress, should_stop):
        services.cancel_run(run)
        return run_until_told_to_stop(job, on_progress, should_stop)

    execute_with(cancel_and_wait)
    tasks.run_backtest(str(run.pk))
    assert reread(run).status == "cancelled"


def test_a_cancellation_in_the_last_moment_leaves_no_result(run, execute_with, monkeypatch):
    save = artifacts.save

    def save_and_cancel(*args, **options):
        folder = save(*args, **options)
        services.cancel_run(run)
        return folder

    monkeypatch.setattr("backtests.operations.attempt.artifacts.save", save_and_cancel)
    execute_with(succeed)
    tasks.run_backtest(str(run.pk))
    assert reread(run).status == "cancelled"
    assert folders() == []


def test_a_late_result_leaves_the_winners_alone(run, execute_with):
    """Another worker took over while this one was frozen, and finished."""

    def lose(job, on_progress, should_stop):
        BacktestRun.objects.filter(pk=run.pk).update(lease_until=Now() - Value(timedelta(seconds=1)))
        execute_with(succeed)
        tasks.run_backtest(str(run.pk))
        return RunOutcome("succeeded", result=flat_result(job), jail_level="late")

    execute_with(lose)
    tasks.run_backtest(str(run.pk))
    row = reread(run)
    assert (row.status, row.attempt, row.jail_level) == ("succeeded", 2, "inner")
    assert folders() == [artifacts.folder_of(row.artifact_dir)]


@pytest.fixture
def ended():
    """A number for each SIGTERM that reaches the process behind the work."""
    signals = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: signals.append(number))
    yield signals
    signal.signal(signal.SIGTERM, before)


def test_sigterm_gives_the_run_back_and_then_ends_the_worker(run, execute_with, ended):
    def be_terminated(job, on_progress, should_stop):
        os.kill(os.getpid(), signal.SIGTERM)
        return run_until_told_to_stop(job, on_progress, should_stop)

    execute_with(be_terminated)
    tasks.run_backtest(str(run.pk))
    assert ended == [signal.SIGTERM]
    assert (reread(run).status, reread(run).n_lost) == ("queued", 0)


def test_sigterm_ends_the_worker_whose_run_was_cancelled_just_before(run, execute_with, ended):
    def be_cancelled_and_terminated(job, on_progress, should_stop):
        services.cancel_run(run)
        wait_until(should_stop)
        os.kill(os.getpid(), signal.SIGTERM)
        return RunOutcome("cancelled")

    execute_with(be_cancelled_and_terminated)
    tasks.run_backtest(str(run.pk))
    assert ended == [signal.SIGTERM]
    assert reread(run).status == "cancelled"


def test_the_queues_own_time_limit_ends_the_run_with_that_cause(run, execute_with):
    from django_q.exceptions import TimeoutException

    def time_out(*_):
        raise TimeoutException("too long")

    execute_with(time_out)
    with pytest.raises(TimeoutException):
        tasks.run_backtest(str(run.pk))
    assert reread(run).failure_code == "time_limit"


def test_a_database_that_restarts_at_the_end_loses_nothing(run, execute_with, monkeypatch):
    finish = BacktestRun.finish
    calls = []

    def finish_at_the_third_try(self, **values):
        calls.append(1)
        if len(calls) < 3:
            raise OperationalError("server closed the connection unexpectedly")
        return finish(self, **values)

    monkeypatch.setattr(BacktestRun, "finish", finish_at_the_third_try)
    monkeypatch.setattr("backtests.operations.attempt.RETRY_S", 0.01)
    execute_with(succeed)
    tasks.run_backtest(str(run.pk))
    assert reread(run).status == "succeeded"


def test_an_answer_lost_after_the_commit_does_not_lose_the_result(run, execute_with, monkeypatch):
    finish = BacktestRun.finish

    def finish_without_answer(self, **values):
        if finish(self, **values):
            raise OperationalError("server closed the connection unexpectedly")
        return False

    monkeypatch.setattr(BacktestRun, "finish", finish_without_answer)
    monkeypatch.setattr("backtests.operations.attempt.RETRY_S", 0.01)
    execute_with(succeed)
    tasks.run_backtest(str(run.pk))
    row = reread(run)
    assert row.status == "succeeded"
    assert folders() == [artifacts.folder_of(row.artifact_dir)]


def test_beats_that_fail_are_tried_again(run, execute_with, monkeypatch):
    beat = BacktestRun.beat
    calls = []

    def beat_at_the_third_try(self, *args):
        calls.append(1)
        if len(calls) < 3:
            raise OperationalError("server closed the connection unexpectedly")
        return beat(self, *args)

    monkeypatch.setattr(BacktestRun, "beat", beat_at_the_third_try)

    def wait_for_beats(job, on_progress, should_stop):
        wait_until(lambda: len(calls) >= 4)
        return succeed(job, on_progress, should_stop)

    execute_with(wait_for_beats)
    tasks.run_backtest(str(run.pk))
    assert reread(run).status == "succeeded"


def test_no_thread_stays_behind(run, execute_with):
    before = threading.active_count()
    execute_with(succeed)
    tasks.run_backtest(str(run.pk))
    assert threading.active_count() == before
