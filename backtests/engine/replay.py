"""The same kernels without a strategy: a command log goes through the bars with no Python per bar."""

from backtests.engine.request import Feed, RunRequest
from backtests.engine.result import CommandLog, EngineResult


def replay(request: RunRequest, feed: Feed, commands: CommandLog) -> EngineResult:
    """Fills, trades and equity of a command log: bit-identical to those of the run that wrote it."""
    raise NotImplementedError
