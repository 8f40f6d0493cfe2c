"""How gunicorn serves the site: https://docs.gunicorn.org names every setting. `serve` adds the address."""

import os
from typing import Any

from django.urls import get_resolver

from backtests.operations.launch import die_with_parent

wsgi_app = "config.wsgi:application"
preload_app = True
worker_class = "gthread"
workers = (os.cpu_count() or 1) + 1
threads = 4
timeout = 60
graceful_timeout = 15  # the supervisor waits less when somebody waits at a terminal
loglevel = "warning"
control_socket_disable = True
if os.access("/dev/shm", os.W_OK):  # noqa: S108 -- its heartbeat files must not wait for a disk
    worker_tmp_dir = "/dev/shm"  # noqa: S108


def post_fork(server: Any, _worker: Any) -> None:
    die_with_parent(server.pid)


def when_ready(_server: Any) -> None:
    """Load every page before the workers are forked: they share its memory, and nobody's first click waits for it."""
    get_resolver().url_patterns  # noqa: B018
