"""Whether a case was contained: by what came out of the run, and by what the stage says."""

from dataclasses import dataclass
from typing import Literal

from backtests.engine.replay import replay
from backtests.runner.corpus.cases import CHECKS, Case
from backtests.runner.outcome import RunJob, RunOutcome

type Verdict = Literal["contained", "escaped", "not applicable"]

LIMIT_CODES = {"time_limit", "cpu_limit", "memory_limit"}
VIOLATION_CODES = {"integrity", "output_limit", "order_limit", "log_limit", "plot_limit"}
SIGN = "PWNED"


@dataclass(frozen=True, slots=True)
class Judgement:
    case: Case
    verdict: Verdict
    why: str  # what was not contained, or how it ended
    status: str = ""
    failure_code: str = ""
    seconds: float = 0.0


def judge(case: Case, job: RunJob, outcomes: list[RunOutcome], damage: list[str]) -> Judgement:
    """`outcomes`: one, or two of the same job for the checks that need two; `damage`: what the stage found."""
    last = outcomes[-1]
    code = last.failure.code if last.failure else ""
    faults = [*damage, *(line for outcome in outcomes for line in _signs(outcome))]
    if case.check not in CHECKS:
        verdict: Verdict = "escaped" if faults else "not applicable"
        return Judgement(case, verdict, "; ".join(faults) or f"unknown check {case.check!r}", last.status, code)
    if code == "strategy_source" and not faults:
        return Judgement(
            case, "not applicable", f"it is no strategy: {last.failure and last.failure.message}", last.status, code
        )
    if code in {"internal", "no_jail"}:
        faults.append(f"the run failed on our side: {last.failure.message if last.failure else ''}")
    faults += _CHECKED_BY.get(case.check, _check_nothing)(job, outcomes)
    ended = f"{last.status}{f' ({code})' if code else ''}"
    return Judgement(case, "escaped" if faults else "contained", "; ".join(faults) or ended, last.status, code)


def _signs(outcome: RunOutcome) -> list[str]:
    return [line.text[:120] for line in outcome.log if line.text.startswith(SIGN)]


def _check_nothing(job: RunJob, outcomes: list[RunOutcome]) -> list[str]:
    return []


def _check_death(job: RunJob, outcomes: list[RunOutcome]) -> list[str]:
    return [] if outcomes[-1].status == "failed" else ["it neither died nor reported an error"]


def _check_limit(job: RunJob, outcomes: list[RunOutcome]) -> list[str]:
    return _ends_with(LIMIT_CODES, outcomes, "no limit stopped it")


def _check_violation(job: RunJob, outcomes: list[RunOutcome]) -> list[str]:
    return _ends_with(VIOLATION_CODES, outcomes, "no frame of it was refused")


def _check_limit_or_violation(job: RunJob, outcomes: list[RunOutcome]) -> list[str]:
    return _ends_with(LIMIT_CODES | VIOLATION_CODES, outcomes, "nothing stopped it")


def _check_money(job: RunJob, outcomes: list[RunOutcome]) -> list[str]:
    result = outcomes[-1].result
    if result is None or float(result.equity["margin_balance"][-1]) == job.request.initial_balance:
        return []
    return ["the replay moved money"]


def _check_replay(job: RunJob, outcomes: list[RunOutcome]) -> list[str]:
    result, commands = outcomes[-1].result, outcomes[-1].commands
    if result is None or commands is None:
        return []
    true = replay(job.request, job.feed, commands)
    return [] if true.result_hash() == result.result_hash() else ["the result is not that of the true candles"]


def _check_same(job: RunJob, outcomes: list[RunOutcome]) -> list[str]:
    failed = [outcome.failure.message for outcome in outcomes if outcome.failure]
    if failed:
        return [f"it did not run: {failed[0]}"]
    hashes = {outcome.result.result_hash() for outcome in outcomes if outcome.result}
    return [] if len(hashes) == 1 else ["two runs differ, and nothing says so"]


def _ends_with(codes: set[str], outcomes: list[RunOutcome], fault: str) -> list[str]:
    failure = outcomes[-1].failure
    return [] if failure is not None and failure.code in codes else [fault]


_CHECKED_BY = {
    "dead_or_error": _check_death,
    "timeout": _check_limit,
    "violation": _check_violation,
    "timeout_or_violation": _check_limit_or_violation,
    "equity_start": _check_money,
    "replay_true": _check_replay,
    "determinism": _check_same,
}
