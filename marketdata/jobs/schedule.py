"""The daily extension as a schedule of the queue: there, and at the hour that the settings name."""

import datetime as dt
import logging

from django.conf import settings
from django.db import DatabaseError
from django_q.models import Schedule

logger = logging.getLogger(__name__)

NAME = "extend candles"
TASK = "marketdata.tasks.extend_candles"
MINUTE = 20  # not on the hour, when everybody asks the archive


def ensure_schedule() -> None:
    """Create, move or remove the schedule, as HINDSIGHT_EXTEND_HOUR says. Any number of calls make one row."""
    hour = settings.EXTEND_HOUR
    schedules = Schedule.objects.filter(name=NAME)
    if hour < 0:
        schedules.delete()
        return
    held = schedules.first()
    is_right = held is not None and (held.next_run.hour, held.next_run.minute, held.func) == (hour, MINUTE, TASK)
    if is_right and schedules.count() == 1:
        return
    schedules.delete()
    Schedule.objects.create(name=NAME, func=TASK, schedule_type=Schedule.DAILY, next_run=next_time(hour))


def ensure_schedule_quietly() -> None:
    """For the start of the workers, which must not fail for it."""
    try:
        ensure_schedule()
    except DatabaseError:
        logger.exception("The schedule of the daily extension could not be written.")


def next_time(hour: int, now: dt.datetime | None = None) -> dt.datetime:
    now = now or dt.datetime.now(dt.UTC)
    today = now.replace(hour=hour, minute=MINUTE, second=0, microsecond=0)
    return today if today > now else today + dt.timedelta(days=1)
