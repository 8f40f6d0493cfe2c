"""Why a child ended that did not say it itself: a limit with its name, or a crash."""

import re
import signal
from dataclasses import dataclass

from accounts.quotas import Limits
from backtests.runner.jail.usage import Usage
from backtests.runner.outcome import KILLED, Failure

LIBRARIES_MB = 256  # what the interpreter and its libraries take, at most
CPU_TOLERANCE_S = 1.0  # the kernel counts whole seconds, and was last asked a moment before

_WHERE = re.compile(r'File "strategy\.py", line (\d+)')
_OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "Cannot allocate memory")
_WORDS = {
    signal.SIGSYS: "asked the system for something that no strategy may ask for",
    signal.SIGSEGV: "touched memory that is not its own",
}


@dataclass(frozen=True, slots=True)
class Death:
    """`code`: its exit code, negative by a signal. `used`: since the strategy began. `output`: what it printed last."""

    code: int
    used: Usage
    output: str
    log_tail: tuple[str, ...]


def explain_time_out(limits: Limits, elapsed_s: float, output: str, log_tail: tuple[str, ...]) -> Failure:
    message = (
        f"The run took longer than {limits.run_wall_clock_s:,} s ({elapsed_s:,.1f} s). "
        "An endless loop, or too much per bar?"
    )
    return _failure("time_limit", message, output, log_tail)


def explain_death(death: Death, limits: Limits) -> Failure:
    used = death.used
    if death.code in (-signal.SIGXCPU, -signal.SIGKILL) and used.cpu_s >= limits.cpu_s - CPU_TOLERANCE_S:
        allowed = f"{limits.cpu_s:,} s"
        return _fail(death, "cpu_limit", f"The run used more than {allowed} of processor time ({used.cpu_s:,.1f} s).")
    is_large = used.peak_memory_mb - LIBRARIES_MB > limits.run_memory_mb / 2
    is_full = death.code == -signal.SIGKILL and is_large
    if is_full or any(word in death.output for word in _OUT_OF_MEMORY):
        return _fail(death, "memory_limit", describe_memory(limits, used))
    if death.code < 0:
        kind = KILLED if death.code == -signal.SIGKILL else "crashed"
        return _fail(death, kind, _describe_signal(-death.code))
    if death.code == 0:
        return _fail(death, "crashed", "The process of the strategy ended before the last bar.")
    return _fail(death, "crashed", f"The process of the strategy ended with exit code {death.code}.")


def explain_early_death(death: Death) -> Failure:
    """Before the strategy began. One that waits for a run may be killed like any other, by nobody's mistake."""
    said = "".join(death.output.splitlines()[-1:])[-500:]
    message = f"The run's process ended before the strategy began (exit code {death.code}). {said}".strip()
    return Failure(KILLED if death.code == -signal.SIGKILL else "internal", message, log_tail=death.log_tail)


def describe_memory(limits: Limits, used: Usage) -> str:
    return (
        f"The strategy needs more memory than a run may use: at most {limits.run_memory_mb:,} MB beside the libraries; "
        f"the process held {used.peak_memory_mb:,.0f} MB."
    )


def _describe_signal(number: int) -> str:
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    why = _WORDS.get(number)  # type: ignore[call-overload]
    return f"The process of the strategy was ended by {name}" + (f": it {why}." if why else ".")


def _fail(death: Death, code: str, message: str) -> Failure:
    return _failure(code, message, death.output, death.log_tail)


def _failure(code: str, message: str, output: str, log_tail: tuple[str, ...]) -> Failure:
    found = _WHERE.search(output)
    return Failure(code, message, line=int(found[1]) if found else 0, log_tail=log_tail)
