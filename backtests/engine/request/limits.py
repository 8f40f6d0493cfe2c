"""Limits that one run asks for, below those of its owner's plan (accounts/quotas.py)."""

from collections.abc import Mapping
from typing import Any

from backtests.engine.errors import RequestError

# Each with the least that makes sense.
RUN_LIMITS = {
    "run_wall_clock_s": 1,
    "run_cpu_s": 1,
    "run_memory_mb": 64,
    "max_orders": 1,
    "max_log_bytes": 1,
    "max_plot_points": 1,
    "max_output_bytes": 1,
}
_MOST = 10**15


def parse_limits(given: Any) -> dict[str, int]:
    """Those that are named and not empty. Raises RequestError; whether the plan allows as much is not asked here."""
    if given is None or given == "":
        return {}
    if not isinstance(given, Mapping):
        raise RequestError("limits", "not_an_object", "The limits must be an object of name and whole number.")
    limits = {}
    for name, value in given.items():
        if name not in RUN_LIMITS:
            field = f"limits.{str(name)[:60]}".encode(errors="replace").decode()
            raise RequestError(
                field, "unknown_limit", f"There is no such limit of a run. Use: {', '.join(RUN_LIMITS)}."
            )
        if value is not None and value != "":
            limits[name] = _read_whole(f"limits.{name}", value, RUN_LIMITS[name])
    return limits


def _read_whole(field: str, value: Any, least: int) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise RequestError(field, "not_a_number", "A limit is a whole number.") from None
    if not least <= number <= _MOST:
        raise RequestError(field, "out_of_range", f"The lowest limit that makes sense is {least:,}.")
    if number != int(number):
        raise RequestError(field, "not_whole", f"{number:g} is not a whole number.")
    return int(number)
