"""Rows about runs: each run, what became of its data, and the pools of workers that make them."""

from backtests.models.data_check import DataCheck
from backtests.models.run import LEASE, LOST, MAX_LOST, BacktestRun, BacktestRunQuerySet
from backtests.models.worker_pool import WorkerPool

__all__ = ["LEASE", "LOST", "MAX_LOST", "BacktestRun", "BacktestRunQuerySet", "DataCheck", "WorkerPool"]
