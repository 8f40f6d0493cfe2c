"""One process that uses the database of a drill hard, in one way, and counts how often it is told that it is locked."""

import os
import sys
import time
import uuid
from collections.abc import Callable

import django

django.setup()

from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.db import OperationalError, transaction  # noqa: E402

from accounts.models import User  # noqa: E402
from backtests.models import BacktestRun, WorkerPool  # noqa: E402
from tests.builders import build_run  # noqa: E402


def write_as_a_request() -> None:
    session = SessionStore()
    session["page"] = uuid.uuid4().hex
    session.save()
    session.delete()
    time.sleep(0.02)


def beat() -> None:
    """As a heartbeat does, ten times as often."""
    WorkerPool.objects.beat(f"writer {os.getpid()}", 0)
    time.sleep(0.1)


def write_in_bulk() -> None:
    """A few hundred rows in one transaction, as an import does."""
    version = BacktestRun.objects.select_related("strategy_version").order_by("created_at")[0].strategy_version
    owner = User.objects.order_by("pk")[0]
    with transaction.atomic():
        doomed = [build_run(owner, "cancelled", version=version).pk for _ in range(300)]
    BacktestRun.objects.filter(pk__in=doomed).delete()
    time.sleep(0.2)


def read() -> None:
    list(BacktestRun.objects.select_related("strategy_version__strategy")[:200])
    time.sleep(0.01)


WAYS: dict[str, Callable[[], None]] = {
    "requests": write_as_a_request,
    "beats": beat,
    "bulk": write_in_bulk,
    "reads": read,
}


def main() -> None:
    act, end_at = WAYS[sys.argv[1]], time.monotonic() + float(os.environ["CHAOS_SECONDS"])
    n_done = n_locked = 0
    longest_s = 0.0
    while time.monotonic() < end_at:
        began_at = time.monotonic()
        try:
            act()
            n_done += 1
        except OperationalError as error:
            if "locked" not in str(error):
                raise
            n_locked += 1
        longest_s = max(longest_s, time.monotonic() - began_at)
    print(f"{n_done} done, the longest took {longest_s:.2f} s, {n_locked} locked")


if __name__ == "__main__":
    main()
