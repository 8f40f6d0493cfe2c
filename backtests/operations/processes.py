"""Which processes there are, read from /proc: who started whom, and in which group. Empty where there is no /proc."""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MARK = "HINDSIGHT_STARTED_BY"
_MARKED = f"{MARK}=".encode()


@dataclass(frozen=True, slots=True)
class Process:
    """One process. pid and start time together are unique: pids are used again."""

    pid: int
    parent_pid: int
    group: int
    started: int  # in clock ticks since boot
    is_zombie: bool
    is_stopped: bool = False  # by SIGSTOP or the like; it does nothing until somebody continues it


type Processes = dict[int, Process]


def read_processes() -> Processes:
    processes = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
            continue
        # The name, in parentheses, may hold anything, even spaces and parentheses.
        fields = stat[stat.rindex(")") + 2 :].split()
        processes[int(folder.name)] = Process(
            pid=int(folder.name),
            parent_pid=int(fields[1]),
            group=int(fields[2]),
            started=int(fields[19]),
            is_zombie=fields[0] in "ZX",
            is_stopped=fields[0] == "T",
        )
    return processes


def mark_own() -> dict[str, str]:
    """For the environment of what this process starts: who started it, in words that no other process ever has."""
    own = read_processes().get(os.getpid())
    return {MARK: f"{_namespace()}:{own.pid}:{own.started}"} if own else {}


def find_left_behind() -> list[Process]:
    """Processes that carry the mark of one that is gone. Nobody else will ever end them."""
    processes = read_processes()
    living = {f"{_namespace()}:{p.pid}:{p.started}" for p in processes.values() if not p.is_zombie}
    found = []
    for process in processes.values():
        with suppress(OSError):  # somebody else's, or gone
            environment = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
            starters = [os.fsdecode(line)[len(_MARKED) :] for line in environment if line.startswith(_MARKED)]
            # In another namespace numbers mean other processes: a container's site is none of ours.
            if any(name.startswith(f"{_namespace()}:") and name not in living for name in starters):
                found.append(process)
    return found


def _namespace() -> str:
    return os.readlink("/proc/self/ns/pid")


def children(pid: int, processes: Processes) -> list[Process]:
    return [process for process in processes.values() if process.parent_pid == pid]


def descendants(pid: int, processes: Processes) -> list[Process]:
    """Everything that `pid` started, directly or not, in no particular order."""
    found: list[Process] = []
    parents = {pid}
    while parents:
        parents_now, parents = parents, set()
        for process in processes.values():
            if process.parent_pid in parents_now:
                found.append(process)
                parents.add(process.pid)
    return found


def send_signal(processes: Iterable[Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            os.kill(process.pid, number)
        except (ProcessLookupError, PermissionError):  # gone; or its number is somebody else's by now
            continue
