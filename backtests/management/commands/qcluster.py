"""The queue's own command, made one crash-only unit whose processes share what is imported."""

from typing import Any

from django_q.management.commands import qcluster

# Loaded before the workers are forked: they share its memory, and the first run starts at once.
import backtests.tasks  # noqa: F401
from backtests.operations.cluster import make_crash_only, run_cluster


class Command(qcluster.Command):  # type: ignore[misc]
    requires_system_checks = ()  # they load every page, which no worker shows
    help = "Run the workers. Stop it with SIGTERM to the whole session: runs go back to the queue."

    def handle(self, *args: Any, **options: Any) -> None:
        if options["run_once"] or options["cluster_name"]:
            make_crash_only()
            super().handle(*args, **options)
        else:
            run_cluster()
