"""Fees and slippage."""

from backtests.engine.kernels.compiler import kernel


@kernel
def fee_of(qty: float, price: float, rate: float) -> float:
    return qty * price * rate


@kernel
def slip(price: float, side: int, ratio: float) -> float:
    """A worse price than asked: higher for a buy (side +1), lower for a sell (-1)."""
    return price * (1.0 + side * ratio)
