"""Who is next: the order in which waiting runs are served, for the dispatcher and for those who wait.

Interactive runs come before studies. Among the same kind every user has a turn before anyone has a second one, and what
already runs for a user counts as turns that were had.
"""

import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, Window
from django.db.models.functions import RowNumber

from accounts.models import User
from accounts.quotas import limits_of
from backtests.models import BacktestRun

MAX_PLACES = 5_000  # of a longer line only so many, the oldest, are told a place


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run in the line. `turn` counts from 1 among the owner's waiting runs of that priority."""

    run_id: uuid.UUID
    owner_id: int
    priority: int
    turn: int
    created_at: datetime


def choose_next(n_free: int) -> list[uuid.UUID]:
    """The waiting runs that are to have the next free workers; nobody gets more at a time than the limits allow."""
    if n_free <= 0:
        return []
    n_busy = count_in_flight()
    turn = Window(RowNumber(), partition_by=[F("owner"), F("priority")], order_by=["created_at", "id"])
    first = BacktestRun.objects.waiting().annotate(turn=turn).filter(turn__lte=n_free).order_by()
    line = [Waiting(*row) for row in first.values_list("id", "owner", "priority", "turn", "created_at")]
    owners = User.objects.in_bulk({waiting.owner_id for waiting in line})
    chosen: list[uuid.UUID] = []
    for waiting in rank(line, n_busy):
        if len(chosen) == n_free:
            break
        if n_busy[waiting.owner_id] < limits_of(owners[waiting.owner_id]).max_concurrent_runs:
            n_busy[waiting.owner_id] += 1
            chosen.append(waiting.run_id)
    return chosen


def find_places() -> dict[uuid.UUID, int]:
    """Where every queued run stands in the line, 1 for the next one; nothing for those behind MAX_PLACES.

    Others may still pass: those who have had fewer turns.
    """
    sent = BacktestRun.objects.filter(status=BacktestRun.Status.QUEUED, dispatched_at__isnull=False)
    waiting = BacktestRun.objects.waiting().order_by("created_at", "id")
    n_turns: Counter[tuple[int, int]] = Counter()
    line = []
    for run_id, owner_id, priority, created_at in waiting.values_list("id", "owner", "priority", "created_at")[
        :MAX_PLACES
    ]:
        n_turns[owner_id, priority] += 1
        line.append(Waiting(run_id, owner_id, priority, n_turns[owner_id, priority], created_at))
    first = sent.order_by("dispatched_at", "created_at", "id").values_list("id", flat=True)
    ids = [*first, *(waiting.run_id for waiting in rank(line, count_in_flight()))]
    return {run_id: place for place, run_id in enumerate(ids, start=1)}


def is_at_limit(user: User) -> bool:
    """Whether as many runs of the user are at work, or about to be, as may be at the same time."""
    n_busy = BacktestRun.objects.in_flight().filter(owner=user).count()
    return n_busy >= limits_of(user).max_concurrent_runs


def rank(line: Iterable[Waiting], n_busy: Counter[int]) -> list[Waiting]:
    return sorted(line, key=lambda w: (w.priority, n_busy[w.owner_id] + w.turn, w.created_at, w.run_id))


def count_in_flight() -> Counter[int]:
    """By owner."""
    counts = BacktestRun.objects.in_flight().order_by().values_list("owner").annotate(n=Count("pk"))
    return Counter(dict(counts))
