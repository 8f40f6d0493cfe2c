"""The list of what happened, in order, for the hooks."""

from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.state import Sim
from backtests.engine.kernels.tables import row_of
from backtests.engine.kernels.types import EventKind


@kernel
def emit(sim: Sim, kind: EventKind, i_row: int) -> None:
    """Remember an event, if anyone listens."""
    if not sim.rules.run["is_listening"]:
        return
    account = sim.account
    event = row_of(sim.books.events, account["n_events"])
    event["kind"] = kind
    event["i_row"] = i_row
    account["n_events"] += 1
