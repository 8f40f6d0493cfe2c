"""Puts runs right whose worker is gone. `serve` does this by itself; other set-ups run this command."""

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from backtests.operations.housekeeping import keep_house
from backtests.operations.reaper import Reaper, reap


class Command(BaseCommand):
    requires_system_checks = ()  # they load every page, which this does not need
    help = "Requeue or fail runs whose worker is gone, send missing messages, sweep result files of nobody."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="do it once, say what was done, and end")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            reaped, n_swept = reap(), keep_house()
            self.stdout.write(
                f"Requeued {reaped.n_requeued}, failed {reaped.n_failed}, cancelled {reaped.n_cancelled}, "
                f"messages sent {reaped.n_dispatched}, folders swept {n_swept}."
            )
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        Reaper().run_until(stop)
