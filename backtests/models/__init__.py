"""Rows about runs: each run, what became of its data, checks of strategy versions, and the pools of workers."""

from backtests.models.data_check import DataCheck
from backtests.models.run import LEASE, LOST, MAX_LOST, BacktestRun, BacktestRunQuerySet
from backtests.models.version_check import VersionCheck, VersionCheckQuerySet
from backtests.models.worker_pool import WorkerPool

__all__ = [
    "LEASE",
    "LOST",
    "MAX_LOST",
    "BacktestRun",
    "BacktestRunQuerySet",
    "DataCheck",
    "VersionCheck",
    "VersionCheckQuerySet",
    "WorkerPool",
]
