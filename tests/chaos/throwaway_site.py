"""A home and a database for one drill, which nobody else has ever seen, and this process as one who uses the site.

Import this before anything of Django's.
"""

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MARK = "CHAOS_DRILL"  # in the environment of every process of a drill


@dataclass(frozen=True)
class ThrowawaySite:
    """`server` is the PostgreSQL server, None on SQLite."""

    home: Path
    env: dict[str, str]
    server: Any


@contextlib.contextmanager
def throwaway_site(database: str, mark: str, *, checks_versions: bool = True) -> Iterator[ThrowawaySite]:
    """Make the home and the database, migrate it, set Django up in this process. Whatever DATABASE_URL says is
    neither read nor touched.

    checks_versions: whether saved versions are checked for look-ahead, in processes that look like those of runs.
    """
    from throwaway_postgres import throwaway_server

    home = Path(tempfile.mkdtemp(prefix="hindsight-chaos-"))
    cache = Path(tempfile.gettempdir()) / f"hindsight-tests-numba-{os.getuid()}"
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        server = stack.enter_context(throwaway_server()) if database == "postgres" else None
        (home / "static").mkdir()
        os.environ.pop("DATABASE_URL", None)
        os.environ |= {
            "HINDSIGHT_HOME": str(home),
            "HINDSIGHT_SECRET_KEY": "a key for drills only",
            "HINDSIGHT_WORKERS": "2",
            "HINDSIGHT_CHECK_VERSIONS": str(int(checks_versions)),
            "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", str(cache)),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            MARK: mark,
            **({"DATABASE_URL": server.url} if server else {}),
        }
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        yield ThrowawaySite(home, dict(os.environ), server)


def find_marked(mark: str) -> list[int]:
    """Living processes that were started by this drill, directly or not, and kept its environment."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0") and int(folder.name) != os.getpid():
                found.append(int(folder.name))
    return found


def free_socket() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=1024)
