"""What is killed, stopped or restarted, and how often."""

import contextlib
import os
import random
import signal
from collections import Counter

from backtests.operations.processes import Process, children, read_processes
from tests.chaos.host import Host, command_of
from tests.chaos.throwaway_site import ThrowawaySite

ROLES = ("worker", "sentinel", "cluster", "strategy", "web worker", "web server", "supervisor")
WEIGHTS = {"worker": 6, "strategy": 5, "sentinel": 2, "cluster": 2, "web worker": 2, "web server": 1, "supervisor": 2}


def find_roles(host: Host) -> dict[str, list[Process]]:
    """The living processes of a host by what they do. The queue's pusher and monitor are workers here."""
    living = host.processes()
    if not living:
        return {}
    supervisor, processes = living[0], read_processes()
    roles: dict[str, list[Process]] = {"supervisor": [supervisor]}
    for unit in children(supervisor.pid, processes):
        is_web = "gunicorn" in command_of(unit.pid)
        roles.setdefault("web server" if is_web else "cluster", []).append(unit)
        below = [process for process in children(unit.pid, processes) if process.group == unit.pid]
        roles.setdefault("web worker" if is_web else "sentinel", []).extend(below)
        if not is_web:
            pool = [worker for sentinel in below for worker in children(sentinel.pid, processes)]
            roles.setdefault("worker", []).extend(pool)
    named = {process.pid for found in roles.values() for process in found}
    roles["strategy"] = [process for process in living if process.pid not in named]
    return {role: [p for p in found if not p.is_zombie] for role, found in roles.items()}


class Killer:
    """Strikes at random, by its own seed; counts what it did by kind."""

    def __init__(self, site: ThrowawaySite, hosts: list[Host], seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self._site, self._hosts = site, hosts
        self._random = random.Random(seed)

    def strike(self) -> str:
        """One blow. Returns its kind, "" when there was nobody to hit."""
        if self._site.server is not None and self._random.random() < 0.06:
            self._site.server.stop(signal.SIGQUIT)
            self._site.server.start()
            return self._count("database restarted")
        roles = find_roles(self._random.choice(self._hosts))
        role = self._random.choices(ROLES, [WEIGHTS[role] for role in ROLES])[0]
        if not roles.get(role):  # it is being started
            return ""
        number = signal.SIGSTOP if self._random.random() < 0.25 else signal.SIGKILL
        victim = self._random.choice(roles[role])
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim.pid, number)
            return self._count(f"{role} {'stopped' if number == signal.SIGSTOP else 'killed'}")
        return ""

    def _count(self, kind: str) -> str:
        self.counts[kind] += 1
        return kind
