"""A child of the supervisor with everything that it starts: it lives, or it is killed and started again, as a whole."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from backtests.operations.processes import (
    Process,
    Processes,
    children,
    descendants,
    mark_own,
    read_processes,
    send_signal,
)

KILL_TIMEOUT_S = 5.0
STOPPED_S = 2.0  # a process that stands still for this long will hardly go on by itself


class Unit:
    """One program in a process group of its own. Linux watches its inside; elsewhere only its main process is seen."""

    def __init__(
        self, name: str, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], pass_fds: Sequence[int] = ()
    ) -> None:
        self.name = name
        self._argv = [sys.executable, "-m", "backtests.operations.launch", str(os.getpid()), *argv]
        self._cwd = cwd
        self._env = {**env, **mark_own()}
        self._pass_fds = tuple(pass_fds)
        self._main: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._pool: set[tuple[int, int]] = set()
        self._stopped_since: dict[int, float] = {}

    @property
    def pid(self) -> int | None:
        return self._main.pid if self._main else None

    @property
    def uptime_s(self) -> float:
        return time.monotonic() - self._started_at

    def start(self) -> None:
        """Call it from the main thread: the child dies with the thread that started it.

        In our session: a group whose parent in the same session dies while one of the group is stopped is continued and
        hung up by the kernel, so that not even a child that was stopped before it could ask to die with us is left.
        """
        self._pool, self._stopped_since = set(), {}
        self._started_at = time.monotonic()
        self._main = subprocess.Popen(  # noqa: S603 -- our own programs, no user's words among them
            self._argv,
            cwd=self._cwd,
            env=self._env,
            pass_fds=self._pass_fds,
            process_group=0,
            stdin=subprocess.DEVNULL,
        )

    def find_fault(self, processes: Processes) -> str:
        """Why this unit must be started anew; "" while all is well."""
        assert self._main is not None
        code = self._main.poll()
        if code is None:
            pid = self._find_stopped(self._members(processes, set()))
            return f"its process {pid} was stopped" if pid else ""
        return f"it was killed by signal {-code}" if code < 0 else f"it ended with code {code}"

    def _find_stopped(self, members: Iterable[Process]) -> int:
        """The number of a process of ours that has stood still for too long; 0 while there is none."""
        now = time.monotonic()
        stopped = {process.pid for process in members if process.is_stopped}
        self._stopped_since = {pid: self._stopped_since.get(pid, now) for pid in stopped}
        return next((pid for pid, since in self._stopped_since.items() if now - since > STOPPED_S), 0)

    def ask_to_end(self, *, is_kind: bool = True) -> None:
        """Send what makes the unit end by itself, and return at once. A web server that is asked unkindly answers
        nobody any more.
        """
        if self._main is not None and self._main.poll() is None:
            self._main.send_signal(signal.SIGTERM if is_kind else signal.SIGINT)
            self._main.send_signal(signal.SIGCONT)

    def has_ended(self) -> bool:
        return self._main is None or self._main.poll() is not None

    def renew(self) -> bool:
        """Kill as little as lets it start anew by itself. False: then all of it has to be killed."""
        return False

    def has_failed(self) -> bool:
        """Whether it ended by itself: what was killed would have gone on."""
        code = self._main.poll() if self._main else None
        return code is not None and code >= 0

    def kill(self) -> None:
        """SIGKILL all of it, and wait until nothing of it is left."""
        if self._main is None:
            return
        give_up_at = time.monotonic() + KILL_TIMEOUT_S
        known: set[tuple[int, int]] = set()
        while time.monotonic() < give_up_at:
            processes = read_processes()
            members = self._members(processes, known)
            known |= {(process.pid, process.started) for process in members}
            send_signal(members, signal.SIGKILL)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._main.pid, signal.SIGKILL)
            if self._main.poll() is not None and not members:
                break
            time.sleep(0.02)
        self._main.wait(KILL_TIMEOUT_S)
        self._main = None

    def _members(self, processes: Processes, known: set[tuple[int, int]]) -> list[Process]:
        assert self._main is not None
        below = {process.pid for process in descendants(self._main.pid, processes)}
        return [
            process
            for process in processes.values()
            if not process.is_zombie
            and (process.pid in below or process.group == self._main.pid or (process.pid, process.started) in known)
        ]


class ClusterUnit(Unit):
    """The queue's cluster: main process, sentinel, and the sentinel's pool of workers, pusher and monitor.

    The sentinel replaces a dead worker, but the dead one may have taken a lock with it, and the cluster then looks
    alive and does nothing. So any death in the pool is a fault of sentinel and pool as a whole. The main process shares
    no lock with them, and starts new ones when its sentinel dies.
    """

    _sentinels: frozenset[tuple[int, int]] = frozenset()
    _asked: frozenset[tuple[int, int]] = frozenset()  # those sentinels whose pools were asked to end

    def find_fault(self, processes: Processes) -> str:
        if fault := super().find_fault(processes):
            return fault
        sentinels = _name(self._read_sentinels(processes))
        if sentinels != self._sentinels:  # the main process has started it anew
            self._sentinels, self._pool = sentinels, set()
        alive = _name(self._read_pool(processes))
        lost = self._pool - alive
        self._pool |= alive
        return f"process {min(lost)[0]} of its pool died" if lost else ""

    def _find_stopped(self, members: Iterable[Process]) -> int:
        """A strategy that was stopped, maybe by itself, is continued: it is no reason to end its neighbours."""
        processes = {process.pid: process for process in members}
        assert self.pid is not None
        own = {
            self.pid,
            *(p.pid for p in self._read_sentinels(processes)),
            *(p.pid for p in self._read_pool(processes)),
        }
        strategies = processes.keys() - own
        send_signal((processes[pid] for pid in strategies if processes[pid].is_stopped), signal.SIGCONT)
        return super()._find_stopped(processes[pid] for pid in own & processes.keys())

    def ask_to_end(self, *, is_kind: bool = True) -> None:
        """Tell the workers to give their runs back. The sentinel is held, so that it starts no new ones meanwhile."""
        processes = read_processes()
        if self.pid is None:
            return
        sentinels = self._read_sentinels(processes)
        send_signal(sentinels, signal.SIGSTOP)
        self._asked = _name(sentinels)
        pool = self._read_pool(processes)
        send_signal(pool, signal.SIGTERM)
        send_signal(pool, signal.SIGCONT)  # the stopped ones have runs to give back, too

    def has_ended(self) -> bool:
        if super().has_ended():
            return True
        processes = read_processes()
        pool = (worker for sentinel in self._read_asked(processes) for worker in children(sentinel.pid, processes))
        return all(worker.is_zombie for worker in pool)

    def renew(self) -> bool:
        """Sentinel and pool die, and the main process starts others. Not if that is what stands still.

        A sentinel that saw the death itself has ended by now: what took its place is new, and is left alone.
        """
        processes = read_processes()
        main = processes.get(self.pid or 0)
        if main is None or main.is_stopped or main.is_zombie:
            return False
        asked = self._read_asked(processes)
        doomed = [*asked, *(process for sentinel in asked for process in descendants(sentinel.pid, processes))]
        send_signal(doomed, signal.SIGKILL)
        names = _name(doomed)
        give_up_at = time.monotonic() + KILL_TIMEOUT_S
        while time.monotonic() < give_up_at and not names.isdisjoint(
            _name(process for process in read_processes().values() if not process.is_zombie)
        ):
            time.sleep(0.02)
        self._started_at = time.monotonic()
        self._pool, self._stopped_since = set(), {}
        return True

    def _read_sentinels(self, processes: Processes) -> list[Process]:
        """One, or none while the main process gets ready. What proves the jail has groups of its own."""
        return [
            process
            for process in (children(self.pid, processes) if self.pid is not None else [])
            if process.group == self.pid and not process.is_zombie
        ]

    def _read_asked(self, processes: Processes) -> list[Process]:
        return [p for p in self._read_sentinels(processes) if (p.pid, p.started) in self._asked]

    def _read_pool(self, processes: Processes) -> list[Process]:
        """The grandchildren. Deeper down are the strategies' processes, which come and go."""
        return [
            process
            for sentinel in self._read_sentinels(processes)
            for process in children(sentinel.pid, processes)
            if not process.is_zombie
        ]


def _name(processes: Iterable[Process]) -> frozenset[tuple[int, int]]:
    """Numbers come back; number and start together do not."""
    return frozenset((process.pid, process.started) for process in processes)
