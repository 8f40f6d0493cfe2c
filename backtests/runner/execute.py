"""Request + source + feed -> outcome: the child runs the strategy, this process replays its orders."""

from backtests.runner.outcome import (
    Failure,
    IndicatorSeries,
    LogLine,
    OnProgress,
    PlotSeries,
    Progress,
    RunJob,
    RunOutcome,
    ShouldStop,
)

__all__ = [
    "Failure",
    "IndicatorSeries",
    "LogLine",
    "OnProgress",
    "PlotSeries",
    "Progress",
    "RunJob",
    "RunOutcome",
    "ShouldStop",
    "execute",
]


def execute(job: RunJob, on_progress: OnProgress | None = None, should_stop: ShouldStop | None = None) -> RunOutcome:
    """Run the strategy in a child, replay its orders here, and compare.

    `on_progress` is called about twice a second and ends the run by returning False, as does `should_stop` by
    returning True; the outcome is then "cancelled". Never raises for what the strategy does.
    """
    raise NotImplementedError
