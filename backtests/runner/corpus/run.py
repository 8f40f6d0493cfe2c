"""Runs a corpus: every case through runner.execute, a few at a time, each on a stage of its own."""

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from accounts.quotas import Limits
from backtests.engine.request import RunMode
from backtests.runner.corpus.cases import Case, CorpusError
from backtests.runner.corpus.judge import Judgement, judge
from backtests.runner.corpus.stage import Stage, make_request
from backtests.runner.execute import execute
from backtests.runner.jail.layers import Layers
from backtests.runner.jailed_check import check_in_jail
from backtests.runner.lookahead import Verdict
from backtests.runner.outcome import RunJob

LIMITS = Limits(run_wall_clock_s=2, run_memory_mb=384, max_orders=2_000, max_log_bytes=50_000)
UNHURRIED = replace(LIMITS, run_wall_clock_s=30)  # for those that are not about time, on a machine with much to do
N_AT_ONCE = 2
MAX_GROWTH_MB = 64
# What a worker might have in its surroundings; the child must never see it.
ENVIRONMENT = {"SECRET_ENV": "SECRET_ENV of the worker"}
HONEST = Case("honest", "honest", "class S(Strategy):\n    def on_data(self, data): pass\n", "nopwn", False, "")
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class CorpusReport:
    judgements: tuple[Judgement, ...]
    worker_faults: tuple[str, ...]  # what the worker itself has lost or kept

    def count(self, verdict: str) -> int:
        return sum(judgement.verdict == verdict for judgement in self.judgements)

    @property
    def is_contained(self) -> bool:
        return not self.worker_faults and not self.count("escaped")


class CorpusRunner:
    """`layers` are around every case, all runs are of one `mode`. `on_case` hears each judgement as it comes."""

    def __init__(
        self,
        layers: Layers,
        cache_dir: Path,
        on_case: Callable[[Judgement], None] | None = None,
        *,
        mode: RunMode = RunMode.DRAFT,
    ) -> None:
        self._layers = layers
        self._mode = mode
        self._cache_dir = cache_dir
        self._on_case = on_case
        self._here = threading.local()
        self._stages: list[Stage] = []

    def run(self, cases: Sequence[Case], *, with_control: bool = True) -> CorpusReport:
        """Every case, in order; before them a strategy that must succeed. Raises CorpusError if it does not."""
        with _as_worker():
            if with_control:
                self._run_alone(HONEST)  # loads the kernels, so that the worker's memory is what it will be
            before = _count_descriptors(), _held_mb()
            with ThreadPoolExecutor(N_AT_ONCE, initializer=self._make_stage) as pool:
                judgements = tuple(pool.map(self._judge, cases))
                for stage in self._stages:
                    stage.close()
            return CorpusReport(judgements, tuple(self._find_worker_faults(*before)))

    def _run_alone(self, case: Case) -> None:
        self._make_stage()
        try:
            found = self._judge(case)
        finally:
            self._stages.pop().close()
        if found.status != "succeeded":
            raise CorpusError(f"A strategy that does nothing does not run in this jail: {found.why}")

    def _make_stage(self) -> None:
        self._here.stage = Stage()
        self._stages.append(self._here.stage)

    def _judge(self, case: Case) -> Judgement:
        stage: Stage = self._here.stage
        # Where no jail is, the limits are off, too (one of them forbids files), but for what would eat up the machine.
        has_limits = self._layers.has_limits and (self._layers.level != "none" or case.check != "nopwn")
        layers = replace(self._layers, uid=stage.uid, has_limits=has_limits)
        limits = LIMITS if case.check in {"timeout", "timeout_or_violation"} else UNHURRIED
        started_s = time.monotonic()
        job = RunJob(
            make_request(stage.feed, self._mode), case.source_for(stage.places()), stage.feed, limits, self._cache_dir
        )
        outcomes = [execute(job, layers=layers) for _ in range(2 if case.check in {"twice", "determinism"} else 1)]
        found = judge(case, job, outcomes, stage.find_damage())
        # In a sealed run there is no future to see: that it leaves the attack nothing is judged like any other case.
        is_draft = self._mode is RunMode.DRAFT
        if is_draft and case.check in {"lookahead", "honest"} and found.verdict == "contained":
            if found.status != "succeeded":
                return replace(found, verdict="not applicable", why=f"the run did not succeed: {found.why}")
            found = _judge_lookahead(found, check_in_jail(job, layers=layers)[0])
        found = replace(found, seconds=time.monotonic() - started_s)
        if self._on_case is not None:
            self._on_case(found)
        return found

    def _find_worker_faults(self, n_descriptors: int, held_mb: float) -> Iterator[str]:
        if (now := _count_descriptors()) > n_descriptors:
            yield f"the worker holds {now} descriptors, before {n_descriptors}"
        if (now_mb := _held_mb()) > held_mb + MAX_GROWTH_MB:
            yield f"the worker holds {now_mb:.0f} MB, before {held_mb:.0f} MB"


def _judge_lookahead(found: Judgement, verdict: Verdict) -> Judgement:
    """By the check that every saved version gets. One that came to no verdict says nothing of the case."""
    why = f"the look-ahead check says {verdict.name}"
    if verdict.difference is not None:
        why = f"{why}: {verdict.difference.expected or 'nothing'} became {verdict.difference.found or 'nothing'}"
    if verdict.failure is not None:
        return replace(found, verdict="not applicable", why=f"{why}: {verdict.failure.message}")
    right = {"looks_ahead"} if found.case.check == "lookahead" else {"passed", "no_orders"}
    return replace(found, verdict=found.verdict if verdict.name in right else "escaped", why=why)


@contextmanager
def _as_worker() -> Iterator[None]:
    """Secrets in the environment, and orphans come here, so that none is missed."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _count_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _held_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
