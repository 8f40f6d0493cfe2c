"""Runs the jobs of one piece of work in turn, each in a process of its own, and takes the medians."""

import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.jobs import Entrant, Job

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = {"backtesting.py": "backtesting", "vectorbt": "vectorbt"}  # the others run in ours
PATIENCE_S = 1_800.0  # for one answer: the first of a compiled peer takes half a minute here


class EngineFailed(Exception):
    """An engine's process ended, hung, or contradicted itself."""


@dataclass(frozen=True)
class Measurement:
    """One job, measured. `details` is what the engine's process said beyond the numbers of the table."""

    job: Job
    version: str
    first_cpu_s: float
    cpu_s: tuple[float, ...]  # of the runs after the first
    rss_mb: float
    n_trades: int
    final_equity: float
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def median_cpu_s(self) -> float:
        return statistics.median(self.cpu_s or (self.first_cpu_s,))

    def ratio_to(self, other: "Measurement") -> float:
        """How many times the CPU of the other this took: the median over the rounds, in each of which they ran side by
        side. So a spell in which the machine was slow for both leaves it as it is.
        """
        pairs = zip(self.cpu_s or (self.first_cpu_s,), other.cpu_s or (other.first_cpu_s,), strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)

    @property
    def combinations_per_s(self) -> float:
        return self.job.work.combinations / self.median_cpu_s

    def to_row(self) -> dict[str, Any]:
        """The measurement as it stands in peers.json."""
        return {
            "work": self.job.work.name,
            "engine": self.job.entrant.engine,
            "version": self.version,
            "api": self.job.entrant.api,
            "cpu_s": self.median_cpu_s,
            "runs": len(self.cpu_s),
            "first_cpu_s": self.first_cpu_s,
            "rss_mb": self.rss_mb,
            "n_bars": self.job.work.n_bars,
            "n_trades": self.n_trades,
            "final_equity": self.final_equity,
            "combinations": self.job.work.combinations,
        }


def measure_in_turn(jobs: Sequence[Job], files: Mapping[str, Path], folder: Path, n_rounds: int) -> list[Measurement]:
    """Every job once, then `n_rounds` times in turn. files: job name -> its JSON. Raises EngineFailed."""
    answers: dict[Job, list[dict[str, Any]]] = {job: [] for job in jobs}
    with contextlib.ExitStack() as stack:
        engines = {job: stack.enter_context(EngineProcess(job, files[job.name], folder)) for job in jobs}
        for i_round in range(1 + n_rounds):
            for job in jobs if i_round % 2 == 0 else reversed(jobs):
                if job.entrant.is_timed or i_round == 0:
                    answers[job].append(engines[job].run())
    return [summarise(job, answers[job]) for job in jobs]


def summarise(job: Job, answers: Sequence[Mapping[str, Any]]) -> Measurement:
    """Raises EngineFailed when two runs of the same work gave different results."""
    first, last = answers[0], answers[-1]
    results = {(answer["n_trades"], answer["final_equity"]) for answer in answers}
    if len(results) > 1:
        raise EngineFailed(f"{job.name} gave different results in different runs: {sorted(results)}")
    known = {"version", "cpu_s", "rss_mb", "n_trades", "final_equity"}
    return Measurement(
        job,
        version=first["version"],
        first_cpu_s=first["cpu_s"],
        cpu_s=tuple(answer["cpu_s"] for answer in answers[1:]),
        rss_mb=max(answer["rss_mb"] for answer in answers),
        n_trades=first["n_trades"],
        final_equity=first["final_equity"],
        details={name: value for name, value in last.items() if name not in known},
    )


class EngineProcess:
    """The process of one job; it waits, using no CPU, while the others run."""

    def __init__(self, job: Job, file: Path, folder: Path) -> None:
        self._job = job
        self._log = folder / "logs" / f"{job.name}.log"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [str(python_of(job.entrant, folder)), "-m", f"benchmarks.peers.{job.entrant.module}", str(file)],
                cwd=ROOT,  # whence the module is found
                env=environment_of(job.entrant, folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

        keep_on_one_core(self._process.pid)

    def __enter__(self) -> "EngineProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def run(self) -> dict[str, Any]:
        """One run. Raises EngineFailed with the end of what the process wrote."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        alarm = threading.Timer(PATIENCE_S, self._process.kill)
        alarm.start()
        try:
            self._process.stdin.write("run\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            alarm.cancel()
        if not line:
            last_words = "\n".join(self._log.read_text(errors="replace").splitlines()[-12:])
            raise EngineFailed(f"{self._job.name} gave no answer; all it wrote is in {self._log}.\n{last_words}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def keep_on_one_core(pid: int) -> None:
    """The same for every engine: of the cores of a shared machine one may be the slower for minutes, and a process that
    waits goes on where it was. Elsewhere than on Linux it does nothing.
    """
    if sys.platform == "linux":
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(pid, {max(os.sched_getaffinity(0))})


def cpu_of_fresh_process(job: Job, file: Path, folder: Path) -> float:
    """CPU seconds of a process that starts, does the work once, and ends: what one run of a user costs in all."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with EngineProcess(job, file, folder) as process:
        process.run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def python_of(entrant: Entrant, folder: Path) -> Path:
    name = ENVIRONMENTS.get(entrant.engine)
    return folder / name / "bin" / "python" if name else Path(sys.executable)


def environment_of(entrant: Entrant, folder: Path) -> dict[str, str]:
    """Nothing of a surrounding environment; peers keep what they compile beside their packages."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DJANGO"))}
    if name := ENVIRONMENTS.get(entrant.engine):
        env["NUMBA_CACHE_DIR"] = str(folder / name / "compiled")
    env["PYTHONWARNINGS"] = "ignore"
    return env
