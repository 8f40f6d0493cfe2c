"""The supervisor of one machine: web, cluster and reaper, each started anew when it dies or stands still, all ended
together.

    serve ---+--- web      gunicorn and its workers          (a process group of its own)
             +--- worker   the queue's cluster               (a process group of its own: one crash-only unit)
             +--- reaper   a thread of the supervisor

Killing the supervisor, even with SIGKILL, leaves no process behind: each child dies with its parent. systemd, or
whatever else started it by its rules, hears from it once a second and starts it anew when it does not.
"""

import errno
import http.client
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from backtests.operations import service_manager
from backtests.operations.launch import adopt_orphans
from backtests.operations.processes import Processes, children, find_left_behind, read_processes, send_signal
from backtests.operations.reaper import Reaper
from backtests.operations.unit import ClusterUnit, Unit

TICK_S = 0.25
PATIENCE_S = 4.0  # how long a unit may take to end by itself when it is in the way, or somebody waits at a terminal
LONG_PATIENCE_S = 20.0  # SIGTERM: requests and runs that are nearly done may end
STEADY_AFTER_S = 5.0  # a unit that lived this long is started again at once
MAX_DELAY_S = 10.0
IDLE_S = 15.0


class ServeError(Exception):
    """The site cannot be served; the message is one sentence for the person at the terminal."""


def listen(host: str, port: int) -> socket.socket:
    """The socket that the site answers on. It outlives restarts of the web server. Raises ServeError."""
    if (given := service_manager.take_socket()) is not None:
        return given
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        why = {
            errno.EADDRINUSE: f"Port {port} is in use on {host}. Stop what uses it, or choose another with --port.",
            errno.EACCES: f"Port {port} may not be used by this user. Choose one above 1023 with --port.",
            errno.EADDRNOTAVAIL: f"{host} is not an address of this machine.",
        }.get(error.errno or 0, f"Cannot listen on {host}:{port}: {error.strerror or error}.")
        raise ServeError(why) from error


def web_unit(listener: socket.socket, *, cwd: Path, env: dict[str, str]) -> Unit:
    config = ["--config", "python:backtests.operations.gunicorn_config"]
    argv = [sys.executable, "-m", "gunicorn", *config, "--bind", f"fd://{listener.fileno()}"]
    return Unit("web server", argv, cwd=cwd, env=env, pass_fds=[listener.fileno()])


def cluster_unit(*, cwd: Path, env: dict[str, str]) -> Unit:
    return ClusterUnit("worker", [sys.executable, "manage.py", "qcluster"], cwd=cwd, env=env)


class Supervisor:
    """Runs units until SIGTERM, SIGINT or SIGHUP; a second signal does not wait for anything."""

    def __init__(self, units: list[Unit], address: tuple[str, int] | None, say: Callable[[str], None]) -> None:
        """`address` is where the first of the units answers; None when no unit does."""
        self._units = units
        self._address = address
        self._say = say
        self._stop = threading.Event()
        self._reaper = Reaper()
        self._patience_s = PATIENCE_S
        self._is_asked_kindly = True
        self._is_in_hurry = False
        self._is_ready = False
        self._restart_at: dict[Unit, float] = {}
        self._delay_s: dict[Unit, float] = {}

    def run(self) -> None:
        """Returns when all has ended. Call it from the main thread. Raises ServeError when the web never came up."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        adopt_orphans()
        send_signal(find_left_behind(), signal.SIGKILL)  # by one that was killed, if anything got away from the kernel
        reaper = threading.Thread(target=self._reaper.run_until, args=[self._stop], name="reaper", daemon=True)
        try:
            for unit in self._units:
                unit.start()
            reaper.start()
            while not self._stop.wait(TICK_S):
                self._tick()
        finally:
            self._stop.set()
            service_manager.tell("STOPPING=1")
            self._end_all()
            reaper.join(PATIENCE_S if reaper.is_alive() and not self._is_in_hurry else 0.0)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._is_in_hurry = self._stop.is_set()
        self._is_asked_kindly = number == signal.SIGTERM
        self._patience_s = LONG_PATIENCE_S if self._is_asked_kindly else PATIENCE_S
        self._stop.set()

    def _tick(self) -> None:
        processes = read_processes()
        self._end_strays(processes)
        for unit in self._units:
            if unit.pid is None:
                if time.monotonic() >= self._restart_at[unit]:
                    unit.start()
            elif fault := unit.find_fault(processes):
                self._restart(unit, fault)
            elif fault := self._find_idleness(unit):
                self._restart(unit, fault, is_whole=True)
        if not self._is_ready and self._answers():
            self._is_ready = True
            where = f"at http://{self._address[0]}:{self._address[1]}/" if self._address else "without a web server."
            self._say(f"Hindsight is running {where}")
            service_manager.tell("READY=1")
        service_manager.tell_alive()

    def _find_idleness(self, unit: Unit) -> str:
        """The cluster's processes may be there, and not one of them do anything."""
        idle_s = self._reaper.idle_s if isinstance(unit, ClusterUnit) else 0.0
        if min(idle_s, unit.uptime_s) < IDLE_S:
            return ""
        return f"runs have waited {idle_s:.0f} s for it while it had nothing to do"

    def _restart(self, unit: Unit, fault: str, *, is_whole: bool = False) -> None:
        if not self._is_ready and unit is self._units[0] and unit.has_failed():
            raise ServeError(f"The {unit.name} did not start: {fault}. What it said stands above.")
        is_steady = unit.uptime_s > STEADY_AFTER_S
        delay_s = 0.0 if is_steady else min(2 * self._delay_s.get(unit, 0.25), MAX_DELAY_S)
        self._delay_s[unit] = delay_s or 0.25
        self._restart_at[unit] = time.monotonic() + delay_s
        self._say(f"The {unit.name} is started again: {fault}.")
        unit.ask_to_end()  # what is left of it may still give its runs back
        self._wait_for([unit], time.monotonic() + self._patience_s)
        if is_whole or not is_steady or not unit.renew():
            unit.kill()

    def _answers(self) -> bool:
        if self._address is None:
            return True
        host, port = self._address
        connection = http.client.HTTPConnection(
            "127.0.0.1" if host == "0.0.0.0" else host,  # noqa: S104 -- compared, not bound
            port,
            timeout=1.0,
        )
        try:
            connection.request("GET", "/")
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True

    def _end_all(self) -> None:
        began_at = time.monotonic()
        for unit in reversed(self._units):  # the web server answers until the workers have given their runs back
            unit.ask_to_end(is_kind=self._is_asked_kindly)
            self._wait_for([unit], began_at + self._patience_s / 2)
        self._wait_for(self._units, began_at + self._patience_s)
        for unit in self._units:
            unit.kill()
        give_up_at = time.monotonic() + 1.0
        while self._end_strays(read_processes()) and time.monotonic() < give_up_at:
            time.sleep(0.02)

    def _wait_for(self, units: list[Unit], give_up_at: float) -> None:
        while time.monotonic() < give_up_at and not self._is_in_hurry:
            if all(unit.has_ended() for unit in units):
                return
            service_manager.tell_alive()
            time.sleep(0.05)

    def _end_strays(self, processes: Processes) -> int:
        """End and bury what we adopted: nothing here outlives the process that started it. Returns how many."""
        own = {unit.pid for unit in self._units}
        strays = [process for process in children(os.getpid(), processes) if process.pid not in own]
        send_signal((stray for stray in strays if not stray.is_zombie), signal.SIGKILL)
        for stray in strays:
            try:
                os.waitpid(stray.pid, os.WNOHANG)
            except ChildProcessError:
                continue
        return len(strays)
