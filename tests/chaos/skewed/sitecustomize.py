"""Loaded first by every Python of a host whose clock is wrong: CHAOS_CLOCK_OFFSET_S seconds ahead of the true time."""

import os
import time

_offset_s = float(os.environ.get("CHAOS_CLOCK_OFFSET_S", "0"))

if _offset_s:
    import datetime as dt

    from django.utils import timezone

    _time, _time_ns, _now = time.time, time.time_ns, timezone.now
    time.time = lambda: _time() + _offset_s
    time.time_ns = lambda: _time_ns() + round(_offset_s * 1e9)
    timezone.now = lambda: _now() + dt.timedelta(seconds=_offset_s)
