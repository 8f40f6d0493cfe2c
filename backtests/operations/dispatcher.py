"""Gets queued runs to the workers. A message carries a run's id and nothing else; the claim decides who runs it.

A message too many is harmless, a message too few is sent again here: by `dispatch_pending`, which any number of hosts
may call at any time.
"""

import uuid
from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now
from django_q.brokers import get_broker
from django_q.tasks import async_task

from accounts.quotas import limits_of
from backtests.models import BacktestRun

TASK = "backtests.tasks.run_backtest"
GRACE = timedelta(seconds=2)  # for the web process that is about to send the first message itself
OVERDUE = timedelta(seconds=3)


def dispatch(run_id: uuid.UUID) -> None:
    """Send the message of one queued run, and note the time of it."""
    run = BacktestRun.objects.select_related("owner").filter(pk=run_id).first()
    if run is None:  # deleted in the meantime
        return
    # The queue's time limit is the last resort, well above the one that the run itself has.
    async_task(TASK, str(run_id), timeout=limits_of(run.owner).run_wall_clock_s + settings.QUEUE_MARGIN_S)
    BacktestRun.objects.filter(pk=run_id, status=BacktestRun.Status.QUEUED).update(dispatched_at=Now())


def dispatch_pending() -> int:
    """Send what was never sent, and what died with a cluster. Returns how many messages.

    A message that a killed cluster had already taken stays locked in the broker. A run that waits for a long time while
    the broker holds no message that is free to take must have lost its own.
    """
    run_ids = set(BacktestRun.objects.undispatched(GRACE).order_by().values_list("id", flat=True))
    if not run_ids and not _n_waiting_messages():
        run_ids = set(BacktestRun.objects.overdue(OVERDUE).order_by().values_list("id", flat=True))
    for run_id in run_ids:
        dispatch(run_id)
    return len(run_ids)


def _n_waiting_messages() -> int:
    return int(get_broker().queue_size())
