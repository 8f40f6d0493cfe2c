"""The queue's own command, made one crash-only unit whose processes share what is imported."""

from typing import Any

from django.db import connections
from django_q.management.commands import qcluster

# Loaded before the workers are forked: they share its memory, and the first run starts at once.
import backtests.tasks  # noqa: F401
import marketdata.tasks  # noqa: F401
from backtests.operations.cluster import make_crash_only, run_cluster
from backtests.operations.readiness import prove_jail
from marketdata.jobs.schedule import ensure_schedule_quietly


class Command(qcluster.Command):  # type: ignore[misc]
    requires_system_checks = ()  # they load every page, which no worker shows
    help = "Run the workers. `serve` does so, watches over them, and has their runs given back when they end."

    def handle(self, *args: Any, **options: Any) -> None:
        ensure_schedule_quietly()
        connections.close_all()  # none is shared with the workers
        if options["run_once"] or options["cluster_name"]:
            prove_jail()
            make_crash_only()
            super().handle(*args, **options)
        else:
            run_cluster()
