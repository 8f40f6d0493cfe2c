"""The look-ahead check with every run in the jail, as any run is."""

import time
from collections.abc import Callable
from dataclasses import replace

from backtests.runner.jail.layers import Layers, NoJail, choose_layers
from backtests.runner.jailed_run import NO_JAIL, run_in_jail
from backtests.runner.lookahead import Orders, Verdict, check_lookahead
from backtests.runner.outcome import Failure, Progress, RunJob


class CheckStopped(Exception):
    """`go_on` has said no: there is no verdict."""


def check_in_jail(
    job: RunJob, go_on: Callable[[], bool] = lambda: True, *, max_s: float = 300.0, layers: Layers | None = None
) -> tuple[Verdict, str]:
    """The verdict, and the level of the jail. Never raises for what the strategy does.

    `go_on` is called often, and ends the check by returning False: CheckStopped. `max_s`: for all runs together.
    `layers`: other than the best that this machine gives.
    """
    give_up_at = time.monotonic() + max_s
    try:
        layers = layers or choose_layers()
    except NoJail as error:
        return Verdict("failed", 0, failure=Failure("no_jail", f"{NO_JAIL} {error}")), "none"

    def tick(_: Progress | None) -> bool:
        return time.monotonic() < give_up_at and go_on()

    def run(job: RunJob, is_elsewhere: bool) -> Orders:
        with run_in_jail(job, tick, layers=replace(layers, is_elsewhere=is_elsewhere)) as jailed:
            failure = jailed.ending.failure
        if jailed.ending.is_cancelled:
            if time.monotonic() < give_up_at:
                raise CheckStopped
            failure = Failure("time_limit", f"The runs of the check took longer than {max_s:g} s together.")
        return Orders(jailed.intake.command_log(), failure)

    return check_lookahead(job, run), layers.level
