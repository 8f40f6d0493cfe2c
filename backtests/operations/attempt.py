"""One attempt at a claimed run: from the claim to exactly one end."""

import logging
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from accounts.quotas import limits_of
from backtests import artifacts, reports
from backtests.engine.errors import BacktestError
from backtests.engine.request import RunRequest
from backtests.models import BacktestRun
from backtests.operations.heartbeat import Heartbeat
from backtests.run_report import RunReport, StrategyFacts
from backtests.runner.execute import execute
from backtests.runner.feed import build_feed
from backtests.runner.outcome import KILLED, Failure, Progress, RunJob, RunOutcome
from marketdata.run_data import RunData
from marketdata.store import CandleStore, StoreError

logger = logging.getLogger(__name__)

DATABASE_PATIENCE_S = 60.0  # how long the end of a run waits for a database that restarts
RETRY_S = 1.0
_DATABASE_IS_AWAY = (OperationalError, InterfaceError)


def run_attempt(run: BacktestRun, heartbeat: Heartbeat) -> None:
    """Execute a claimed run, store its result, and end its row, whatever happens."""
    jail_level = ""
    try:
        outcome, report = _execute(run, heartbeat)
        jail_level = outcome.jail_level
        if outcome.status == "cancelled":
            _keep_trying(run.give_back if heartbeat.stop_reason == "shutdown" else run.acknowledge_cancel)
            return
        if report is not None:
            heartbeat.carry("saving")
            if not store_report(run, report):
                _keep_trying(run.acknowledge_cancel)
            return
        failure = outcome.failure or Failure("internal", "The run ended without a result and without a cause.")
    except BacktestError as error:
        failure = Failure(error.code, str(error))
    except StoreError as error:
        failure = Failure("data_error", f"The candles of this run cannot be read: {error}")
    except artifacts.ArtifactError as error:
        failure = Failure("storage", str(error))
    except _DATABASE_IS_AWAY:  # for longer than anyone waits: whoever has it next begins anew
        logger.exception("The database did not answer; the run goes back to the queue, or is lost.")
        _keep_trying(run.give_back)
        return
    except SystemExit:  # the queue's own time limit, far above the run's
        failure = Failure("time_limit", "The run did not end in time and was stopped.")
        _fail(run, failure, jail_level)
        raise
    except Exception:
        failure = _internal_failure()
    _fail(run, failure, jail_level)


def store_report(run: BacktestRun, report: RunReport) -> bool:
    """Write the files of a claimed run, then make them its result. False: it was not ours any more; no file is left.

    Raises ArtifactError when the files cannot be written.
    """
    assert run.token is not None
    folder = artifacts.save(run.pk, run.attempt, run.token, tables=report.tables, facts=report.to_facts())
    is_stored = _keep_trying(
        lambda: (
            run.finish(
                artifact_dir=folder,
                result_hash=report.result_hash,
                summary=report.summary(),
                is_ruined=report.is_ruined,
                jail_level=report.jail_level,
            )
            # A connection may break after the commit, before its answer: then the row already names our folder.
            or BacktestRun.objects.filter(pk=run.pk, artifact_dir=folder).exists()
        )
    )
    if not is_stored:
        artifacts.delete_attempt(folder)
    return is_stored


def _execute(run: BacktestRun, heartbeat: Heartbeat) -> tuple[RunOutcome, RunReport | None]:
    request = RunRequest.parse(run.request)
    run_data = RunData.from_json(run.run_data)
    version = run.strategy_version
    feed = build_feed(run_data, request, CandleStore(Path(settings.HOME)))
    job = RunJob(request, version.source, feed, limits_of(run.owner), settings.KERNEL_CACHE)

    def carry(progress: Progress) -> bool:
        return heartbeat.carry(progress.stage, progress.to_json())

    outcome = execute(job, carry, heartbeat.must_stop)
    if outcome.status != "succeeded":
        return outcome, None
    heartbeat.carry("metrics")
    strategy = StrategyFacts(version.strategy.name, version.source, version.sha256, version.number)
    return outcome, reports.build_report(outcome, request, run_data, feed, strategy=strategy)


def _fail(run: BacktestRun, failure: Failure, jail_level: str) -> None:
    if failure.code == KILLED and _keep_trying(run.lose):
        return
    if not _keep_trying(lambda: run.fail(failure.code, failure.to_json(), jail_level=jail_level)):
        _keep_trying(run.acknowledge_cancel)


def _internal_failure() -> Failure:
    """The log gets the traceback, the page a number to find it by: the traceback may hold what users must not see."""
    error_id = secrets.token_hex(4)
    logger.exception("Internal error %s", error_id)
    return Failure(
        "internal",
        "Something went wrong on our side, not in your strategy. Run it again; if that fails too, report error "
        f"{error_id}.",
    )


def _keep_trying(transition: Callable[[], bool]) -> bool:
    """Make a transition although the database may be restarting. Every transition is safe to repeat."""
    give_up_at = time.monotonic() + DATABASE_PATIENCE_S
    while True:
        try:
            return transition()
        except _DATABASE_IS_AWAY:
            if connection.in_atomic_block or time.monotonic() > give_up_at:
                raise
            logger.warning("The database does not answer; trying again.", exc_info=True)
            connection.close()
            time.sleep(RETRY_S)
