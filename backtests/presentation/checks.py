"""The check of a version in words: its badge, and what it has found."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from backtests.models import VersionCheck

NOT_CHECKED = "not_checked"
BADGES = {  # status: words, class, what it means
    NOT_CHECKED: ("not checked", "", "The check for look-ahead has not begun yet."),
    "pending": ("check waits", "", "The check for look-ahead waits for a worker that has nothing else to do."),
    "running": ("checking", "", "The check for look-ahead is being made."),
    "passed": (
        "no look-ahead found",
        "badge-ok",
        "With other futures, and in another process with another hash seed and clock, its orders were the same.",
    ),
    "looks_ahead": ("looks ahead", "badge-bad", "Its orders depend on bars that had not closed yet."),
    "not_deterministic": ("not deterministic", "badge-bad", "Run twice on the same candles, its orders differ."),
    "no_orders": ("nothing to check", "badge-warn", "It made no orders on the candles of the check."),
    "failed": ("check failed", "badge-warn", "The check did not come to its end."),
}
_RUN_WORDS = {
    "again": "In a second run of the same candles",
    "past_only": "With the bars up to then alone",
    "other_future": "With other bars afterwards",
}

CHECK_STATUSES = [(status, words) for status, (words, _, _) in BADGES.items()]
OTHER_RUNS = list(_RUN_WORDS.items())


@dataclass(frozen=True, slots=True)
class CheckView:
    """A version's check as pages show it; `check` is None where there is none yet."""

    check: VersionCheck | None

    @property
    def status(self) -> str:
        return self.check.status if self.check is not None else NOT_CHECKED

    @property
    def is_finished(self) -> bool:
        return self.check is not None and self.check.is_finished

    @property
    def words(self) -> str:
        return BADGES[self.status][0]

    @property
    def badge(self) -> str:
        return BADGES[self.status][1]

    @property
    def meaning(self) -> str:
        return BADGES[self.status][2]

    @property
    def verdict(self) -> dict[str, Any]:
        return self.check.verdict if self.check is not None else {}

    @property
    def failure(self) -> dict[str, Any] | None:
        return self.verdict.get("failure")

    @property
    def difference(self) -> dict[str, str] | None:
        """Bar, orders and circumstances of the first difference, in words."""
        found = self.verdict.get("difference")
        if not found:
            return None
        return {
            "bar": iso_minute(found["bar_time_ms"]),
            "expected": found["expected"] or "no order",
            "found": found["found"] or "no order",
            "run": _RUN_WORDS.get(found["other_run"], "In another run"),
            "cut": iso_minute(found["cut_time_ms"]) if found.get("cut_time_ms") else "",
        }


def iso_minute(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M}"
