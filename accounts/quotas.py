"""What one user may use. Nothing of Django in here: the parent of the jail reads it too."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Protocol

CPU_SPARE_S = 10  # beyond the wall clock: one thread reaches the wall clock first, several the processor limit


@dataclass(frozen=True, slots=True)
class Limits:
    run_wall_clock_s: int = 600
    run_cpu_s: int = 0  # of all threads; 0: the wall clock, and 10 s more
    run_memory_mb: int = 2048
    max_orders: int = 500_000
    max_log_bytes: int = 1_000_000
    max_plot_points: int = 1_000_000
    max_output_bytes: int = 64 * 1024 * 1024
    max_concurrent_runs: int = 2
    max_queued_runs: int = 50
    max_strategies: int = 200
    max_source_bytes: int = 200_000
    max_api_tokens: int = 20
    max_upload_mb: int = 64  # of one file of candles; 96 is what the site takes at most
    max_private_mb: int = 500  # of a user's own series, as stored
    max_private_series: int = 50

    @property
    def cpu_s(self) -> int:
        """Processor seconds of all threads of a run."""
        return self.run_cpu_s or self.run_wall_clock_s + CPU_SPARE_S

    def allowed(self, name: str) -> int:
        return self.cpu_s if name == "run_cpu_s" else int(getattr(self, name))

    def lowered(self, asked: Mapping[str, int]) -> "Limits":
        """With what one run asks for, where that is lower: no run gets more than this."""
        return replace(self, **{name: min(value, self.allowed(name)) for name, value in asked.items()})


class HasLimits(Protocol):
    limit_overrides: dict[str, int]


LIMIT_NAMES = tuple(field.name for field in fields(Limits))


def default_limits() -> Limits:
    """The site's limits. config/settings.py has refused a wall clock that makes no sense before anyone gets here."""
    wall_clock_s = os.environ.get("HINDSIGHT_RUN_WALL_CLOCK_S", "").strip()
    return replace(Limits(), run_wall_clock_s=int(wall_clock_s)) if wall_clock_s else Limits()


def limits_of(user: HasLimits) -> Limits:
    return replace(default_limits(), **(user.limit_overrides or {}))


def find_limit_problem(overrides: object) -> str:
    """Why these overrides cannot be stored; empty when they can."""
    if not isinstance(overrides, Mapping):
        return 'Give an object of limits, such as {"max_strategies": 500}.'
    for name, value in overrides.items():
        if name not in LIMIT_NAMES:
            return f"There is no limit {name!r}; there are {', '.join(LIMIT_NAMES)}."
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            return f"{name} must be a whole number of at least 1."
    return ""
