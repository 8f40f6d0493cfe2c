"""Another time of day, for the run that is to show whether a strategy depends on the clock.

No kernel lets an ordinary process have a wall clock of its own, so Python's own ways to ask are changed. What asks past
them (pandas and numpy) sees the true time, which is another one in every run anyway.
"""

import datetime as dt
import os
import time
from typing import Any

CLOCK_SHIFT = "HINDSIGHT_CLOCK_SHIFT_S"  # in the child's environment; 0 in every run that counts


def shift_clock() -> None:
    """Set the clock on by as many seconds as the environment says."""
    shift_s = int(os.environ.get(CLOCK_SHIFT, "0"))
    if not shift_s:
        return
    true_time, true_time_ns = time.time, time.time_ns
    time.time = lambda: true_time() + shift_s
    time.time_ns = lambda: true_time_ns() + shift_s * 1_000_000_000
    dt.datetime = _shift_datetime(dt.timedelta(seconds=shift_s))  # type: ignore[misc]


def _shift_datetime(shift: dt.timedelta) -> Any:
    """A stand-in for the class: it makes true datetimes, and true ones count as its own."""
    true = dt.datetime

    class Meta(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, true)

        def __subclasscheck__(cls, other: type) -> bool:
            return issubclass(other, true)

    class Shifted(true, metaclass=Meta):  # type: ignore[misc, valid-type]
        def __new__(cls, *values: Any, **named: Any) -> Any:
            return true(*values, **named)

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return true.now(tz) + shift

        @classmethod
        def utcnow(cls) -> Any:
            return true.now(dt.UTC).replace(tzinfo=None) + shift

        @classmethod
        def today(cls) -> Any:
            return true.now() + shift

    return Shifted
