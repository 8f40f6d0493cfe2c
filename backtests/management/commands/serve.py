"""Runs the whole site on this machine: web server, worker, reaper."""

import os
import socket
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from backtests.models import WorkerPool
from backtests.operations.serve import ServeError, Supervisor, cluster_unit, listen, web_unit


class Command(BaseCommand):
    requires_system_checks = ()  # they load every page, which the web server does anyway
    help = "Run web server, worker and reaper until Ctrl-C; whatever dies is started again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on (8000)")
        parser.add_argument("--no-web", action="store_true", help="work on runs only; another process serves pages")
        parser.add_argument("--no-worker", action="store_true", help="serve pages only; runs wait in the queue")
        parser.add_argument("--workers", type=int, help="how many runs at the same time (HINDSIGHT_WORKERS)")

    def handle(self, *args: Any, **options: Any) -> None:
        host, port, n_workers = options["host"], options["port"], options["workers"]
        if not 1 <= port <= 65_535:
            raise CommandError(f"{port} is not a port: choose one from 1 to 65535.")
        if n_workers is not None and not 1 <= n_workers <= 64:
            raise CommandError("--workers must lie between 1 and 64.")
        if options["no_web"] and options["no_worker"]:
            raise CommandError("With --no-web and --no-worker nothing is left to run.")
        self._check_database()
        cwd = Path(settings.BASE_DIR)
        env = {**os.environ, "HINDSIGHT_HOME": str(settings.HOME)}
        if n_workers is not None:
            env["HINDSIGHT_WORKERS"] = str(n_workers)
        cluster = [] if options["no_worker"] else [cluster_unit(cwd=cwd, env=env)]
        try:
            if options["no_web"]:
                Supervisor(cluster, None, self._say).run()
                return
            with listen(host, port) as listener:
                host, port = listener.getsockname()[:2]  # a service manager may have chosen another
                Supervisor([web_unit(listener, cwd=cwd, env=env), *cluster], (host, port), self._say).run()
        except ServeError as error:
            raise CommandError(str(error)) from error

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _check_database(self) -> None:
        other = ""
        try:
            executor = MigrationExecutor(connection)
            has_news = bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
            if not has_news and connection.vendor == "sqlite":
                other = WorkerPool.objects.find_other_host(socket.gethostname())
        except DatabaseError as error:
            if "database is locked" in str(error):
                raise CommandError(
                    "Another process holds the database. Try again when it has ended, or end it."
                ) from error
            raise CommandError(f"The database does not answer: {error}".strip()) from error
        finally:
            connection.close()
        if has_news:
            raise CommandError("The database is not up to date. Run `make setup`, or `manage.py migrate`, first.")
        if other:
            raise CommandError(
                f"{other} works on this SQLite database. Two machines need PostgreSQL: set DATABASE_URL."
            )
