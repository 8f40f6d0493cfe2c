"""Drills beside the killing at random: each does one thing many times and says how long what it promises took."""

import http.client
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

from django.db.models.functions import Now

from backtests import services
from backtests.engine.request import RunRequest
from backtests.models import BacktestRun
from backtests.operations import dispatcher
from backtests.operations.processes import read_processes
from marketdata.run_data import RunData
from strategies.models import StrategyVersion
from tests.builders import build_version
from tests.chaos.host import Host
from tests.chaos.killing import find_roles
from tests.chaos.load import SLOW, SPANS, Load, wait_until
from tests.chaos.runaways import LIMITS, RUNAWAYS, count_tasks, read_available_mb, read_resident_mb, source_of
from tests.chaos.throwaway_site import ROOT, ThrowawaySite

BALLAST_MB = 400  # of a long run: by this its process is told from others, also from those that wait for a run
LONG = (
    SLOW.replace("class Slow", "class Long")
    .replace("0.005", "0.1")
    .replace("pass\n", f'self.ballast = b"x" * ({BALLAST_MB} << 20)\n', 1)
)
PROBES = 4
LOCK_WRITERS = ("requests", "requests", "beats", "beats", "beats", "beats", "bulk", "reads")


class Drill:
    """A site under load, and what it takes to drill it. `problems` is what was not as promised."""

    def __init__(self, site: ThrowawaySite, host: Host, load: Load, n: int) -> None:
        self.site, self.host, self.load, self.n = site, host, load, n
        self.problems: list[str] = []
        load.cancels_any = True
        self.user, self.other = load.users[:2]
        for user in (self.user, self.other):
            build_version(user, LONG, "Long")

    def cancel(self) -> None:
        """From the click to the death of the run's processes."""
        times = []
        for _ in range(self.n):
            run_id = self.load.request(self.user, "Long", SPANS[1])
            pids = set(self._find_processes_of(run_id)[1:])
            clicked_at = time.monotonic()
            services.cancel_run(self._row(run_id))
            asked_s = time.monotonic() - clicked_at
            wait_until(lambda pids=pids: not pids & self._living(), 30, "all of its processes to die")
            times.append(time.monotonic() - clicked_at)
            if times[-1] > 2.0:
                print(f"    {times[-1]:.1f} s, {asked_s:.1f} of them to ask; the site said {self.host.text()[-1500:]}")
            wait_until(lambda run_id=run_id: self._row(run_id).status == "cancelled", 10, "its row to say so")
        self._say("from click to death", times, 2.0)

    def recovery(self) -> None:
        """From the death of a worker to the start of its run's next attempt."""
        times = []
        for _ in range(self.n):
            run_id = self.load.request(self.user, "Long", SPANS[1])
            worker = self._find_processes_of(run_id)[0]
            killed_at = time.monotonic()
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda run_id=run_id: self._row(run_id).attempt == 2, 60, "the second attempt")
            times.append(time.monotonic() - killed_at)
            self._clear()
        self._say("from a worker's death to the rerun", times, 13.0)

    def poison(self) -> None:
        """A run that kills its worker each time: it fails, and the others go on."""
        times = []
        for _ in range(self.n):
            run_id, n_killed = self.load.request(self.user, "Long", SPANS[1]), 0
            while not (run := self._row(run_id)).is_finished:
                while BacktestRun.objects.visible_to(self.other).active().count() < 6:
                    self.load.request(self.other, "Quick", SPANS[0])
                if run.stage == "running" and run.attempt > n_killed:
                    worker, n_killed = self._find_processes_of(run_id)[0], run.attempt
                    pool = {process.pid for process in find_roles(self.host)["worker"]}
                    killed_at = time.monotonic()
                    os.kill(worker, signal.SIGKILL)
                    wait_until(lambda pool=pool: not pool & self._living(), 60, "the pool to be gone")
                    before = self._newest_start()  # those that the other worker began meanwhile do not count
                    wait_until(lambda before=before: self._newest_start() != before, 60, "another run to start")
                    times.append(time.monotonic() - killed_at)
                time.sleep(0.05)
            if (run.failure_code, run.attempt) != ("lost", 3):
                self.problems.append(f"the poison ended as {run.status} {run.failure_code}, attempt {run.attempt}")
        self._say("from a worker's death to another run's start", times, 2.0)

    def restarts(self) -> None:
        """SIGTERM under load: how long until it has ended, and what visitors see."""
        stop, failures, n_answers = threading.Event(), [], [0] * PROBES
        probes = [threading.Thread(target=self._probe, args=[stop, failures, n_answers, i]) for i in range(PROBES)]
        for probe in probes:
            probe.start()
        times = []
        for _ in range(self.n):
            end_at = time.monotonic() + 4
            while time.monotonic() < end_at:
                self.load.go_on()
                time.sleep(0.1)
            times.append(self.host.restart())
        stop.set()
        for probe in probes:
            probe.join()
        print(f"{sum(n_answers)} answers, {len(failures)} failures {failures[:3]}")
        self.problems += failures
        self._say("from SIGTERM to the end", times, 30.0)

    def outages(self) -> None:
        """The database restarts: at once, and after ten seconds."""
        assert self.site.server is not None, "only with --db postgres"
        for pause_s in (0.0, 10.0):
            times = []
            for _ in range(self.n):
                for _ in range(20):
                    self.load.go_on()
                    time.sleep(0.1)
                self.site.server.stop(signal.SIGQUIT)
                time.sleep(pause_s)
                self.site.server.start()
                back_at = time.monotonic()
                before = wait_until(lambda: (self._newest_start(),), 10, "the database")
                for _ in range(8):
                    self.load.go_on()
                wait_until(lambda before=before: (self._newest_start(),) != before, 60, "a run to start")
                times.append(time.monotonic() - back_at)
            self._say(f"from the database's return after {pause_s:.0f} s to the first start", times, 15.0)

    def fairness(self) -> None:
        """Somebody's 1,000 studies wait; another asks for one run."""
        first = self._row(self.load.request(self.user, "Long", SPANS[0]))
        request, data = RunRequest.parse(first.request), RunData.from_json(first.run_data)
        version = StrategyVersion.objects.get(strategy__owner=self.user, strategy__name="Slow")
        for seed in range(1000):
            run = services.create_run(self.user, replace(request, seed=seed), data, version)
            BacktestRun.objects.filter(pk=run.pk).update(priority=BacktestRun.Priority.STUDY)
        dispatcher.dispatch()
        wait_until(lambda: BacktestRun.objects.filter(status="running").count() == 2, 60, "both workers to be busy")
        times = []
        for _ in range(self.n):
            run_id = self.load.request(self.other, "Quick", SPANS[0])
            asked_at = time.monotonic()
            # A message that was under way already when it was asked for is nobody's to call back.
            later = BacktestRun.objects.filter(owner=self.user, dispatched_at__gt=self._read_clock())
            wait_until(lambda run_id=run_id: self._row(run_id).attempt, 60, "it to start")
            times.append(time.monotonic() - asked_at)
            before = later.filter(started_at__lt=self._row(run_id).started_at).count()
            if before:
                self.problems.append(f"{before} of the others' runs started first")
            wait_until(lambda run_id=run_id: self._row(run_id).is_finished, 60, "it to end")
        self._say("from the request to the start behind 1,000 studies", times, 60.0)
        BacktestRun.objects.active().request_cancel()

    def locks(self) -> None:
        """`n` seconds of writers of every kind on SQLite: how often one was told that the database is locked."""
        env = {**self.site.env, "CHAOS_SECONDS": str(self.n)}
        command = [sys.executable, "-m", "tests.chaos.writers"]
        writers = [
            subprocess.Popen([*command, kind], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
            for kind in LOCK_WRITERS
        ]
        end_at = time.monotonic() + self.n
        while time.monotonic() < end_at:
            self.load.go_on()
            time.sleep(0.1)
        for kind, writer in zip(LOCK_WRITERS, writers, strict=True):
            said = writer.communicate(timeout=300)[0].strip()
            print(f"    {kind}: {said}")
            if not said.endswith(" 0 locked"):
                self.problems.append(f"{kind}: {said}")
        n_logged = self.host.text().count("database is locked")
        print(f"    {n_logged} in the site's own log, {self.load.n_refused} of the users' requests")
        self.problems += ["the site's log has some"] * bool(n_logged) + ["users met some"] * bool(self.load.n_refused)

    def runaways(self) -> None:
        """Strategies that take what they can, and somebody else's runs beside them."""
        self.user.limit_overrides = LIMITS
        self.user.save()
        for name in RUNAWAYS:
            build_version(self.user, source_of(name), name)
        self.load.expects_failures = True
        n_tasks, n_mb, lowest_mb, times = count_tasks(), read_available_mb(), read_available_mb(), []
        for name in [name for _ in range(self.n) for name in RUNAWAYS]:
            run_id = self.load.request(self.user, name, SPANS[0])
            neighbour, asked_at = self.load.request(self.other, "Quick", SPANS[0]), time.monotonic()
            while not (self._row(run_id).is_finished and self._row(neighbour).is_finished):
                lowest_mb = min(lowest_mb, read_available_mb())
                time.sleep(0.05)
            run, beside = self._row(run_id), self._row(neighbour)
            times.append((beside.finished_at - beside.created_at).total_seconds())
            print(f"    {name}: {run.failure_code} after {time.monotonic() - asked_at:.1f} s")
            if run.failure_code not in RUNAWAYS[name][1]:
                self.problems.append(f"{name} ended as {run.status} {run.failure_code}: {run.failure}")
            if beside.status != "succeeded":
                self.problems.append(f"beside {name}: {beside.failure}")
        time.sleep(3)
        print(f"    memory available: {n_mb} MB before, {lowest_mb} at the lowest, {read_available_mb()} after")
        print(f"    processes and threads of the machine: {n_tasks} before, {count_tasks()} after")
        self._say("somebody else's run beside them, from request to result", times, 10.0)

    def _say(self, what: str, times: list[float], limit_s: float) -> None:
        ranked = sorted(times)
        p95 = ranked[math.ceil(0.95 * len(ranked)) - 1] if ranked else 0.0
        median = ranked[len(ranked) // 2] if ranked else 0.0
        print(f"{what}: {len(ranked)} times, median {median:.2f} s, p95 {p95:.2f} s, longest {max(times):.2f} s")
        if p95 > limit_s:
            self.problems.append(f"{what} took {p95:.2f} s at p95, more than {limit_s:.0f} s")

    def _row(self, run_id: object) -> BacktestRun:
        return BacktestRun.objects.get(pk=run_id)

    def _newest_start(self) -> object:
        """Of all runs but the long ones."""
        runs = BacktestRun.objects.exclude(started_at=None).exclude(strategy_version__strategy__name="Long")
        return runs.order_by("-started_at").values_list("started_at", "id").first()

    def _find_processes_of(self, run_id: object) -> list[int]:
        """The worker of a long run that is at work, and the processes that it has for it, outermost first."""
        wait_until(lambda: self._row(run_id).stage == "running", 60, "a run to be at work")
        heavy = wait_until(
            lambda: [p for p in self.host.processes() if read_resident_mb(p.pid) > BALLAST_MB], 30, "its process"
        )
        roles, processes = find_roles(self.host), read_processes()
        workers, line = {process.pid for process in roles["worker"]}, [heavy[0].pid]
        while line[0] not in workers:
            line.insert(0, processes[line[0]].parent_pid)
        return line

    def _read_clock(self) -> object:
        """The database's."""
        return BacktestRun.objects.annotate(now=Now()).values_list("now", flat=True)[0]

    def _living(self) -> set[int]:
        return {process.pid for process in self.host.processes()}

    def _clear(self) -> None:
        BacktestRun.objects.active().request_cancel()
        wait_until(lambda: not BacktestRun.objects.active().exists(), 60, "all runs to end")

    def _probe(self, stop: threading.Event, failures: list[str], n_answers: list[int], i: int) -> None:
        assert self.host.listener is not None
        address = self.host.listener.getsockname()
        while not stop.is_set():
            connection = http.client.HTTPConnection(*address, timeout=30)
            try:
                connection.request("GET", "/accounts/login/", headers={"Connection": "close"})
                status = connection.getresponse().status
                n_answers[i] += 1
                if status >= 500:
                    failures.append(f"status {status}")
            except (OSError, http.client.HTTPException) as error:
                failures.append(repr(error))
            finally:
                connection.close()
            time.sleep(0.05)


TIMES = {
    "cancel": 100,
    "recovery": 20,
    "poison": 10,
    "restarts": 20,
    "outages": 20,
    "fairness": 10,
    "locks": 600,
    "runaways": 1,
}
