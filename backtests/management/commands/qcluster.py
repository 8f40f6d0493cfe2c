"""The queue's own command, with two things added: its processes die together, and they share what is imported."""

import os
from typing import Any

from django_q.management.commands import qcluster

# Loaded before the workers are forked: they share its memory, and the first run starts at once.
import backtests.tasks  # noqa: F401
from backtests.operations.launch import die_with_parent

_forking_pid = 0


def _note_parent() -> None:
    global _forking_pid
    _forking_pid = os.getpid()


class Command(qcluster.Command):  # type: ignore[misc]
    requires_system_checks = ()  # they load every page, which no worker shows
    help = "Run the workers. Stop it with SIGTERM to the whole session: runs go back to the queue."

    def handle(self, *args: Any, **options: Any) -> None:
        # A killed main process would leave a sentinel and workers that go on taking tasks.
        os.register_at_fork(before=_note_parent, after_in_child=lambda: die_with_parent(_forking_pid))
        super().handle(*args, **options)
