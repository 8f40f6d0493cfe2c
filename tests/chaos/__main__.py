"""`make chaos KILLS=50 DB=sqlite|postgres SEED=1`: kill anything of a loaded site at random, and count what was lost.

The site is thrown away afterwards: its home and its database are made here and belong to nobody.
"""

import argparse
import hashlib
import random
import signal
import sys
import time
import uuid
from contextlib import ExitStack

from tests.chaos.throwaway_site import find_marked, free_socket, throwaway_site

SECOND_HOST_AHEAD_S = 600.0
DRILLS = ("cancel", "recovery", "poison", "restarts", "outages", "fairness", "locks", "runaways")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--db", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--every", type=float, default=3.0, help="seconds between kills, on average")
    parser.add_argument("--drill", choices=sorted(DRILLS), help="instead: do this, and say how long it took")
    parser.add_argument("--times", type=int, help="how often a drill does it (of locks: seconds)")
    return parser.parse_args()


def end_once(*_) -> None:
    """So that nothing of it stays behind. A second signal does not end the cleaning up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(143)


def main() -> int:
    signal.signal(signal.SIGTERM, end_once)
    signal.signal(signal.SIGINT, end_once)
    arguments = read_arguments()
    mark = uuid.uuid4().hex
    what = arguments.drill or f"{arguments.kills} kills"
    print(f"seed {arguments.seed}, {what} on {arguments.db}", flush=True)
    with throwaway_site(arguments.db, mark, checks_versions=not arguments.drill) as site:
        return run_drill(site, mark, arguments) if arguments.drill else run_chaos(site, mark, arguments)


def run_drill(site, mark: str, arguments: argparse.Namespace) -> int:
    from backtests.models import BacktestRun
    from tests.chaos.drills import TIMES, Drill
    from tests.chaos.host import Host
    from tests.chaos.load import Load, wait_until
    from tests.chaos.verdict import judge, note_ends

    note_ends()
    with free_socket() as listener:
        host = Host(site, "a", listener=listener)
        try:
            host.start()
            load = Load(arguments.seed)
            load.run_undisturbed()
            drill = Drill(site, host, load, arguments.times or TIMES[arguments.drill])
            getattr(drill, arguments.drill)()
            wait_until(lambda: not BacktestRun.objects.active().exists(), 120, "the last runs")
        finally:
            host.processes()
            host.stop()
    verdict = judge(load)
    problems = [*drill.problems, *verdict.lost, *verdict.doubled, *verdict.wrong, *verdict.orphans]
    problems += [*host.survivors(), *(f"process {pid}" for pid in find_marked(mark))]
    print(
        f"{verdict.n_runs} runs; problems: {len(problems)}" + "".join(f"\n    {line[:500]}" for line in problems[:10])
    )
    return 1 if problems else 0


def run_chaos(site, mark: str, arguments: argparse.Namespace) -> int:
    from backtests.models import BacktestRun
    from tests.chaos.host import Host
    from tests.chaos.killing import Killer
    from tests.chaos.load import Load, wait_until
    from tests.chaos.verdict import judge, note_ends

    began_at = time.monotonic()
    note_ends()
    with ExitStack() as stack:
        hosts = [Host(site, "a", listener=stack.enter_context(free_socket()))]
        if site.server is not None:  # SQLite is for one host
            hosts.append(Host(site, "b", listener=None, offset_s=SECOND_HOST_AHEAD_S))
        for host in hosts:
            stack.callback(host.stop)
            host.start()
        load = Load(arguments.seed)
        load.run_undisturbed()
        print(f"undisturbed runs done after {time.monotonic() - began_at:.0f} s", flush=True)
        killer, pause = Killer(site, hosts, arguments.seed), random.Random(arguments.seed)
        kind = "none yet"
        while killer.counts.total() < arguments.kills:
            strike_at = time.monotonic() + (pause.uniform(0.2, 2 * arguments.every - 0.2) if kind else 0.5)
            while time.monotonic() < strike_at:
                load.go_on()
                for host in hosts:
                    host.processes()
                time.sleep(0.1)
            kind = killer.strike()
            if kind and killer.counts.total() % 25 == 0:
                print(f"{killer.counts.total()} kills, {len(load.requested)} runs", flush=True)
        problem = ""
        try:
            wait_until(lambda: not BacktestRun.objects.active().exists(), 120, "the last runs")
        except TimeoutError as error:
            problem = str(error)
        for host in hosts:
            host.processes()
            host.stop()
        verdict = judge(load)
        verdict.orphans += [name for host in hosts for name in host.survivors()]
        verdict.orphans += [f"process {pid}" for pid in find_marked(mark)]
        print_report(verdict, killer.counts, load, hosts, time.monotonic() - began_at)
        if verdict.is_bad:
            for host in hosts:
                print(f"--- host {host.name}\n{host.text()[-6000:]}")
        return 1 if verdict.is_bad or problem else 0


def print_report(verdict, counts, load, hosts, seconds: float) -> None:
    def write(counter) -> str:
        return ", ".join(f"{name} {n}" for name, n in sorted(counter.items()))

    print(f"kills     {counts.total()}: {write(counts)}")
    print(f"hosts     {len(hosts)}, started {sum(host.n_restarts for host in hosts)} times; {seconds:.0f} s")
    print(f"runs      {verdict.n_runs}: {write(verdict.statuses)}; {load.n_refused} moments without a database")
    print(f"attempts  {write(verdict.attempts)}; given up after three losses: {verdict.given_up}")
    digest = hashlib.sha256(repr(sorted(load.expected.items())).encode()).hexdigest()[:16]
    print(f"results   {digest}, the same on every attempt, host and database")
    for name in ("lost", "doubled", "wrong", "orphans"):
        found = getattr(verdict, name)
        print(f"{name:<9} {len(found)}" + "".join(f"\n    {line}" for line in found[:10]))


if __name__ == "__main__":
    sys.path.insert(0, "deploy")  # where the throw-away PostgreSQL is
    sys.exit(main())
