"""How numbers, times and codes are written. Signs are real minus signs; a missing number is a dash."""

import math
from datetime import UTC, datetime

from backtests.engine.metrics import MetricSpec, MetricValue, Unit

DASH = "–"
MINUS = "−"
NBSP = "\u00a0"  # a number and its unit stay on one line

NOTES = {
    "short_sample": "short sample",
    "short_span": "not meaningful under 30 days",
    "ruined": "ruined",
}


def format_number(value: float | None, decimals: int = 2, *, is_signed: bool = False) -> str:
    if value is None or not math.isfinite(value):
        return DASH
    text = f"{abs(value):,.{decimals}f}"
    is_zero = not any(digit in text for digit in "123456789")
    if value < 0 and not is_zero:
        return f"{MINUS}{text}"
    return f"+{text}" if is_signed and not is_zero else text


def format_ratio(value: float | None, *, is_signed: bool = False, decimals: int = 2) -> str:
    """A fraction as percent: 0.0312 -> 3.12 %."""
    if value is None or not math.isfinite(value):
        return DASH
    if abs(value) >= 100:
        decimals = 0
    return f"{format_number(value * 100, decimals, is_signed=is_signed)}{NBSP}%"


def format_rate(value: float) -> str:
    """A fee as percent with the digits it has: 0.0004 -> 0.04 %."""
    return f"{MINUS if value < 0 else ''}{abs(value) * 100:.6g}{NBSP}%"


def format_price(value: float | None) -> str:
    """As many decimals as the size of the price calls for, without trailing zeros."""
    if value is None or not math.isfinite(value):
        return DASH
    decimals = 2 if abs(value) >= 100 else 8 if abs(value) < 1 else 4
    text = f"{abs(value):,.{decimals}f}"
    if decimals > 2:
        text = text.rstrip("0").rstrip(".")
    return f"{MINUS}{text}" if value < 0 else text


def format_qty(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return DASH
    text = f"{abs(value):,.8f}".rstrip("0").rstrip(".")
    return f"{MINUS}{text}" if value < 0 else text


def format_leverage(value: float | None) -> str:
    return DASH if value is None or not math.isfinite(value) else f"{value:,.4g}x"


def format_time(time_ms: int | None) -> str:
    """UTC to the minute, with seconds where there are any; the pages say UTC beside it."""
    if time_ms is None or time_ms < 0:
        return DASH
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment.second else f"{moment:%Y-%m-%d %H:%M}"


def format_day(time_ms: int) -> str:
    """A span's edge: the day alone at midnight."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return f"{moment:%Y-%m-%d}" if time_ms % 86_400_000 == 0 else f"{moment:%Y-%m-%d %H:%M}"


def iso_time(time_ms: int) -> str:
    """A day or an ISO time in UTC, as the run form and the command read it."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    if time_ms % 86_400_000 == 0:
        return f"{moment:%Y-%m-%d}"
    return moment.replace(tzinfo=None).isoformat(timespec="auto")


def format_span(from_ms: int, to_ms: int) -> str:
    return f"{format_day(from_ms)} → {format_day(to_ms)}"


def format_seconds(seconds: float | None) -> str:
    """45 s, 3 min 20 s, 2 h 5 min."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return DASH
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def format_metric(spec: MetricSpec, value: float | int | None, quote: str = "") -> str:
    """A metric's value by its unit, for example +3.12 %, 1.84, 12, +1,204.50 USDT, 3x."""
    if value is None:
        return DASH
    match spec.unit:
        case Unit.RATIO:
            return format_ratio(value, is_signed=spec.is_signed)
        case Unit.COUNT:
            return f"{int(value):,}"
        case Unit.LEVERAGE:
            return format_leverage(value)
        case Unit.QUOTE:
            return f"{format_number(value, is_signed=spec.is_signed)}{NBSP}{quote}".strip()
        case _:
            return format_number(value, is_signed=spec.is_signed)


def tone_of(spec: MetricSpec, value: float | int | None) -> str:
    """CSS class of a signed number; the sign says the same without colour."""
    if not spec.is_signed or value is None or abs(value) < 5e-7:
        return ""
    return "gain" if value > 0 else "loss"


def say_note(metric: MetricValue) -> str:
    return NOTES.get(metric.note, metric.note)
