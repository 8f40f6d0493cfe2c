"""One host: `manage.py serve` under a service manager of a few lines that keeps systemd's promises: it hands over the
socket, starts again what ended, and kills the whole group of what no longer says that it lives.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from backtests.operations.processes import Process, descendants, read_processes
from tests.chaos.throwaway_site import ROOT, ThrowawaySite

WATCHDOG_S = 8.0
RESTART_S = 0.2
END_S = 5.0  # how long what a dead supervisor had started may take to be gone
PRELUDE = """
import os, sys
from backtests.operations.launch import die_with_parent
die_with_parent(int(sys.argv[1]))
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


class Host:
    """`seen` are all processes that it ever had, as (number, start); `left` what outlived its supervisor, and had to be
    killed.
    """

    def __init__(
        self, site: ThrowawaySite, name: str, *, listener: socket.socket | None, offset_s: float = 0.0
    ) -> None:
        self.name, self.listener = name, listener
        self.n_restarts = 0
        self.seen: set[tuple[int, int]] = set()
        self.left: list[str] = []
        self.output = site.home / f"output-{name}.txt"
        self._notify_path = site.home / f"notify-{name}"
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._channel.bind(str(self._notify_path))
        self._channel.settimeout(0.1)
        self._env = {**site.env, "NOTIFY_SOCKET": str(self._notify_path)}
        if offset_s:
            skewed = Path(__file__).with_name("skewed")
            self._env |= {"PYTHONPATH": str(skewed), "CHAOS_CLOCK_OFFSET_S": str(offset_s)}
        self._is_ready = threading.Event()
        self._is_ending = threading.Event()
        self._heard_at = 0.0
        self.supervisor: subprocess.Popen[bytes] | None = None
        self._manager = threading.Thread(target=self._manage, daemon=True)

    def start(self) -> None:
        """Return when it is ready."""
        self._manager.start()
        if not self._is_ready.wait(120):
            raise TimeoutError(f"host {self.name} did not start: {self.text()[-2000:]}")

    def restart(self) -> float:
        """As `systemctl restart`: SIGTERM, and a new one. Returns the seconds that the old one took to end."""
        assert self.supervisor is not None
        old, began_at = self.supervisor, time.monotonic()
        self._is_ready.clear()
        old.terminate()
        while self.supervisor is old:
            time.sleep(0.02)
        took_s = time.monotonic() - began_at
        self._is_ready.wait(120)
        return took_s

    def stop(self) -> None:
        self._is_ending.set()
        if self.supervisor is not None:
            with contextlib.suppress(ProcessLookupError):
                self.supervisor.send_signal(signal.SIGCONT)
            self.supervisor.terminate()
        self._manager.join(60)
        self._channel.close()

    def text(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def processes(self) -> list[Process]:
        """All that live, the supervisor first."""
        if self.supervisor is None or self.supervisor.poll() is not None:
            return []
        processes = read_processes()
        own = processes.get(self.supervisor.pid)
        found = [*([own] if own else []), *descendants(self.supervisor.pid, processes)]
        self.seen |= {(process.pid, process.started) for process in found}
        return [process for process in found if not process.is_zombie]

    def survivors(self) -> list[str]:
        """What was left at the end, or before."""
        return [*self.left, *(command_of(process.pid) or str(process) for process in self._survivors())]

    def _survivors(self) -> list[Process]:
        return [
            process
            for process in read_processes().values()
            if (process.pid, process.started) in self.seen and not process.is_zombie
        ]

    def _manage(self) -> None:
        # The kernel ends the supervisor's children with the thread that started them: this one lives as long as we do.
        while not self._is_ending.is_set():
            self._is_ready.clear()  # it may take its time to start; then its signs of life are awaited
            self.supervisor = self._launch()
            self._heard_at = time.monotonic()
            while self.supervisor.poll() is None:
                self._hear()
                if time.monotonic() - self._heard_at > WATCHDOG_S + (30 if not self._is_ready.is_set() else 0):
                    self._kill_group()
            self._kill_rest()
            self.n_restarts += 1
            time.sleep(RESTART_S)

    def _launch(self) -> subprocess.Popen[bytes]:
        web = ["--no-web"] if self.listener is None else []
        command = [sys.executable, "-c", PRELUDE, str(os.getpid()), "manage.py", "serve", *web]
        env = dict(self._env)
        if self.listener is not None:
            env["LISTEN_FDS"] = "1"
        with self.output.open("ab") as output:
            return subprocess.Popen(
                command, cwd=ROOT, env=env, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                close_fds=False, preexec_fn=self._hand_over, start_new_session=True,
            )  # fmt: skip

    def _hand_over(self) -> None:
        if self.listener is not None:
            os.dup2(self.listener.fileno(), 3, inheritable=True)
        os.closerange(4, 256)

    def _hear(self) -> None:
        with contextlib.suppress(TimeoutError):
            said = self._channel.recv(1000)
            self._heard_at = time.monotonic()
            if b"READY=1" in said:
                self._is_ready.set()

    def _kill_rest(self) -> None:
        """systemd would at once: we wait, note what had to be killed, and kill it."""
        give_up_at = time.monotonic() + END_S
        while (rest := self._survivors()) and time.monotonic() < give_up_at:
            time.sleep(0.05)
        for process in rest:
            self.left.append(f"{command_of(process.pid)[:80]} {process}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)

    def _kill_group(self) -> None:
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        self._heard_at = time.monotonic()


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""
