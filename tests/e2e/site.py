"""A real site for the browser: started as users start it, in a home of its own, and stopped with Ctrl-C."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START_S = 180.0
STOP_S = 20.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass
class Site:
    """One installation: a home folder and a port. `output` is everything that it has printed."""

    home: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.home.parent / f"{self.home.name}.log"

    @property
    def output(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    @property
    def environment(self) -> dict[str, str]:
        dropped = ("DATABASE_URL", "HINDSIGHT_SECRET_KEY", "DJANGO_SETTINGS_MODULE")
        env = {name: value for name, value in os.environ.items() if name not in dropped}
        env.pop("NUMBA_CACHE_DIR", None)
        # An archive that refuses at once: the sample becomes synthetic, and no test leaves this machine.
        archive = "http://127.0.0.1:9/"
        more = {"HINDSIGHT_HOME": str(self.home), "HINDSIGHT_PORT": str(self.port), "HINDSIGHT_ARCHIVE_URL": archive}
        return {**env, **more}

    def start(self) -> float:
        """Start the site and wait until it answers; returns the seconds that took."""
        self.share_compiled_kernels()
        started = time.monotonic()
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "deploy/bootstrap.py", "run"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # as a terminal would: one group that Ctrl-C reaches
            )
        while not self.answers():
            assert self.process.poll() is None, self.output
            assert time.monotonic() - started < START_S, self.output
            time.sleep(0.05)
        return time.monotonic() - started

    def share_compiled_kernels(self) -> None:
        """Compiling takes a minute; the tests' own cache holds the same kernels."""
        cache = self.home / "cache" / "numba"
        if not cache.exists() and os.environ.get("NUMBA_CACHE_DIR"):
            cache.parent.mkdir(parents=True, exist_ok=True)
            Path(os.environ["NUMBA_CACHE_DIR"]).mkdir(parents=True, exist_ok=True)
            cache.symlink_to(os.environ["NUMBA_CACHE_DIR"], target_is_directory=True)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.url, timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def interrupt(self) -> None:
        """Ctrl-C."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(STOP_S)

    def staff_account(self) -> tuple[str, str]:
        """Address and password, as printed at the first start."""
        found = re.search(r"account: (\S+) +password: (\S+)", self.output)
        assert found, self.output
        return found.group(1), found.group(2)

    def processes(self) -> list[int]:
        """Every process on this machine that works on this home."""
        needle = f"HINDSIGHT_HOME={self.home}".encode()
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and has(entry, needle)]


def has(process: Path, needle: bytes) -> bool:
    try:
        return needle in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
