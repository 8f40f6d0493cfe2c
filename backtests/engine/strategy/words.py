"""What a strategy says about an order, read: anything that can never be an order is an OrderError in clear words."""

import math
from collections.abc import Sequence
from typing import Any, SupportsFloat

from backtests.engine.errors import OrderError
from backtests.engine.kernels.types import SizeKind

SIZE_WORDS = "amount (base quantity), notional (quote currency) or equity_ratio (share of the equity)"
HIGHEST_PRICE = 1e15
NAN = math.nan


_NO_TERMS: dict[str, Any] = {}  # a market order, of which most runs make thousands: nothing to be read


def read_terms(
    limit: Any,
    stop: Any,
    stop_loss: Any,
    take_profit: Any,
    trailing_ratio: Any,
    reduce_only: Any,
    post_only: Any,
    good_for_bars: Any,
    tag: Any,
) -> dict[str, Any]:
    """Everything about an order but its size, as Account.submit takes it. Raises OrderError."""
    is_plain = limit is None and stop is None and stop_loss is None and take_profit is None and trailing_ratio is None
    if is_plain and good_for_bars is None and tag is None and not post_only:
        return {"is_reduce_only": True} if reduce_only else _NO_TERMS
    if post_only and limit is None:
        raise OrderError("post_only belongs to a limit order: give limit=, the price at which it may rest.")
    if reduce_only:
        guards = {"stop_loss": stop_loss, "take_profit": take_profit, "trailing_ratio": trailing_ratio}
        for name, value in guards.items():
            if value is not None:
                raise OrderError(f"{name} guards what an order opens; an order that is reduce_only opens nothing.")
    return {
        "limit_price": read_price("limit", limit),
        "stop_price": read_price("stop", stop),
        "stop_loss": read_price("stop_loss", stop_loss),
        "take_profit": read_targets(take_profit),
        "trailing_ratio": read_ratio("trailing_ratio", trailing_ratio),
        "is_reduce_only": bool(reduce_only),
        "is_post_only": bool(post_only),
        "good_for_bars": read_bars(good_for_bars),
        "tag": read_tag(tag),
    }


def read_size(amount: Any, notional: Any, equity_ratio: Any) -> tuple[SizeKind, float]:
    """Exactly one way of saying how much. Raises OrderError for none, two, or a number that is no size."""
    if amount is not None and notional is None and equity_ratio is None:
        return SizeKind.QTY, read_positive("amount", amount)
    ways = {"amount": amount, "notional": notional, "equity_ratio": equity_ratio}
    given = [name for name, value in ways.items() if value is not None]
    if len(given) != 1:
        what = f"{' and '.join(given)} are given" if given else "none is given"
        raise OrderError(f"Say how much in exactly one way, by {SIZE_WORDS}: {what}.")
    name = given[0]
    size = read_positive(name, ways[name])
    if name == "equity_ratio" and size > 1:
        raise OrderError(f"equity_ratio is a share of the equity, at most 1.0, not {size:g}. Leverage goes beyond it.")
    return {"notional": SizeKind.NOTIONAL, "equity_ratio": SizeKind.EQUITY_RATIO}[name], size


def read_number(name: str, value: Any) -> float:
    """A finite number. Raises OrderError for anything else, a boolean and a text included."""
    # Asking for SupportsFloat takes 1 us; plain numbers, of which an order has several, need not be asked.
    is_plain = type(value) is float or type(value) is int
    if not is_plain and (isinstance(value, bool | str | bytes) or not isinstance(value, SupportsFloat)):
        raise OrderError(f"{name} must be a number, not {value!r:.60}.")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise OrderError(f"{name} must be a number, not {type(value).__name__}.") from None
    if math.isnan(number):
        raise OrderError(f"{name} is NaN. An indicator is NaN until it has enough bars; test for that first.")
    if math.isinf(number):
        raise OrderError(f"{name} is infinite.")
    return number


def read_positive(name: str, value: Any) -> float:
    number = read_number(name, value)
    if number <= 0:
        hint = " buy() and sell() say the direction." if name in ("amount", "notional", "equity_ratio") else ""
        raise OrderError(f"{name} must be above zero, not {number:g}.{hint}")
    return number


def read_price(name: str, value: Any) -> float:
    """NaN where no price is given."""
    return NAN if value is None else read_given_price(name, value)


def read_given_price(name: str, value: Any) -> float:
    price = read_positive(name, value)
    if price > HIGHEST_PRICE:
        raise OrderError(f"{name} is {price:g}: no price is that high.")
    return price


def read_leverage(value: Any) -> float | None:
    if value is None:
        return None
    leverage = read_number("leverage", value)
    if leverage < 1:
        raise OrderError(f"leverage must be at least 1, not {leverage:g}.")
    return leverage


def read_targets(value: Any) -> float | list[tuple[float, float]]:
    """take_profit: one price, or a list of (share, price) whose shares sum to at most 1."""
    if value is None:
        return NAN
    if not isinstance(value, Sequence) or isinstance(value, str):
        return read_given_price("take_profit", value)
    targets = []
    for pair in value:
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            raise OrderError("take_profit takes one price, or a list of (share, price).")
        targets.append((read_positive("take_profit share", pair[0]), read_given_price("take_profit", pair[1])))
    if not targets or sum(share for share, _ in targets) > 1 + 1e-9:
        raise OrderError("The shares of the take_profit list must sum to at most 1.")
    return targets


def read_ratio(name: str, value: Any) -> float:
    """A ratio above 0 and below 1; NaN where none is given."""
    if value is None:
        return NAN
    ratio = read_positive(name, value)
    if ratio >= 1:
        raise OrderError(f"{name} is a ratio below 1 (0.02 is 2 %), not {ratio:g}.")
    return ratio


def read_tag(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > 64:
        raise OrderError("tag must be a text of at most 64 characters.")
    return value


def read_bars(value: Any) -> int:
    """good_for_bars as a whole number; 0 stands for "until cancelled"."""
    if value is None:
        return 0
    number = read_positive("good_for_bars", value)
    if number != int(number) or number > 2**31 - 1:
        raise OrderError(f"good_for_bars must be a whole number of bars, not {number:g}.")
    return int(number)
