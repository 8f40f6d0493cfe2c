"""A run in the foreground, by the page's own path: the same request, child, replay and report, without a worker."""

import csv
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings
from django.db import transaction

from accounts.models import User
from accounts.quotas import Limits
from backtests import reports, services
from backtests.engine.errors import DataError
from backtests.engine.request import RunRequest
from backtests.models import BacktestRun
from backtests.operations.attempt import store_report
from backtests.presentation.tables import to_records
from backtests.run_report import RunReport, StrategyFacts
from backtests.runner.execute import execute
from backtests.runner.feed import build_feed
from backtests.runner.outcome import Failure, OnProgress, RunJob, RunOutcome
from marketdata.run_data import RunData
from marketdata.store import CandleStore, StoreError
from strategies.models import Strategy, StrategyVersion, hash_source
from strategies.params import read_param_schema
from strategies.services import create_strategy, save_version

TABLES = ("fills", "trades", "orders", "equity")


def resolve(raw: Mapping[str, Any], source: str, user: User | None = None) -> tuple[RunRequest, RunData]:
    """The request as the page of `user` would make it of the same fields. Raises RequestError."""
    given = {name: value for name, value in raw.items() if value is not None}
    filled = services.fill_warmup(given, source)
    return services.resolve_request(filled, read_param_schema(source), user, source=source)


def run(
    request: RunRequest,
    run_data: RunData,
    strategy: StrategyFacts,
    limits: Limits,
    *,
    on_progress: OnProgress | None = None,
) -> tuple[RunOutcome, RunReport | None]:
    """Execute and report. No report unless it succeeded. Raises DataError for candles that cannot be read."""
    try:
        feed = build_feed(run_data, request, CandleStore(Path(settings.HOME)))
    except StoreError as error:
        raise DataError(f"The candles of this run cannot be read: {error}") from error
    outcome = execute(RunJob(request, strategy.source, feed, limits, settings.KERNEL_CACHE), on_progress)
    if outcome.status != "succeeded":
        return outcome, None
    return outcome, reports.build_report(outcome, request, run_data, feed, strategy=strategy)


def describe_file(name: str, source: str) -> StrategyFacts:
    """A strategy that is a file, not a stored version."""
    return StrategyFacts(name, source, hash_source(source))


def find_version(user: User, name: str, source: str) -> StrategyVersion:
    """The user's strategy of this name with this source: a new version, or a new strategy. Raises StrategyError."""
    strategy = Strategy.objects.visible_to(user).active().filter(name=name).first()
    return create_strategy(user, name, source) if strategy is None else save_version(strategy, source)


def save(
    user: User,
    version: StrategyVersion,
    request: RunRequest,
    run_data: RunData,
    outcome: RunOutcome,
    report: RunReport | None,
) -> uuid.UUID:
    """Store an ended run as one of the user's, and return its id. Raises OSError when files cannot be written."""
    with transaction.atomic():  # nobody else sees the row while it is queued
        queued = services.create_run(user, request, run_data, version)
        row = BacktestRun.objects.claim(queued.pk)
    assert row is not None
    if report is not None:
        store_report(row, report)
    else:
        failure = outcome.failure or Failure("internal", "The run ended without a result and without a cause.")
        row.fail(failure.code, failure.to_json(), jail_level=outcome.jail_level)
    return row.pk


def write_tables(report: RunReport, folder: Path) -> None:
    """fills, trades, orders, equity as CSV and as Parquet, codes as words. Raises OSError."""
    for name in TABLES:
        columns, records = to_records(report.tables[name], report)
        with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(records)
        table = pa.table({column: [record[i] for record in records] for i, column in enumerate(columns)})
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
