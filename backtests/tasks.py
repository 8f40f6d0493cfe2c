"""What a worker does with a message: it claims the run and makes one attempt. The row decides, not the message."""

from structlog.contextvars import bound_contextvars

from backtests.engine.memory import keep_freed_memory
from backtests.models import BacktestRun, VersionCheck
from backtests.operations.attempt import run_attempt
from backtests.operations.dispatcher import dispatch_quietly
from backtests.operations.heartbeat import Heartbeat
from backtests.operations.version_checks import make_check
from marketdata.jobs.sigterm import stop_on_sigterm


def run_backtest(run_id: str) -> None:
    """Run one backtest to its end. A duplicate message, or one of a cancelled run, finds nothing to claim."""
    keep_freed_memory()
    run = BacktestRun.objects.claim(run_id)
    if run is None:
        return
    with (
        bound_contextvars(run_id=str(run.pk), attempt=run.attempt),
        Heartbeat(run) as heartbeat,
        stop_on_sigterm(heartbeat),
    ):
        run_attempt(run, heartbeat)
    if heartbeat.stop_reason != "shutdown":
        dispatch_quietly()  # this worker is free for whoever is next


def check_version(version_id: str) -> None:
    """Check one version of a strategy for look-ahead and chance. A duplicate message finds nothing to claim."""
    keep_freed_memory()
    check = VersionCheck.objects.claim(version_id)
    if check is None:
        return
    with bound_contextvars(version_id=version_id):
        make_check(check)
    dispatch_quietly()
