"""How the oracle resolves an order's size, and why it refuses one."""

from decimal import ROUND_FLOOR, Decimal

from backtests.engine.kernels.types import OrderStatus, Reason, SizeKind
from tests.engine.oracle_market import ZERO, dec

TINY = Decimal("1e-9")


class OracleOrders:
    """The rules for orders: needs the holdings and balances of the oracle."""

    def _refuse(self, order, reference):
        """Mark the order as refused if it cannot trade at this reference price. Returns whether it was."""
        reason = self._refusal(order, reference)
        if reason == Reason.ALREADY_THERE:
            order |= {"status": OrderStatus.CANCELLED, "reason": reason}
        elif reason != Reason.NONE:
            order |= {"status": OrderStatus.REJECTED, "reason": reason}
        return reason != Reason.NONE

    def _price(self, order, reference):
        return reference * (1 + order["side"] * self.slippage)

    def _resolve(self, order, reference):
        """The quantity asked for, in whole steps."""
        held, size = self.holdings[order["i_symbol"]].qty, order["size"]
        kind = order["size_kind"]
        if kind == SizeKind.POSITION_PERCENT:
            order["side"] = -1 if held > 0 else 1
            return self._floor(order, abs(held) * size / 100)
        if kind == SizeKind.TARGET_RATIO:
            wanted = self._floor(order, abs(size) * max(self.margin_balance, ZERO) / reference)
            change = (wanted if size >= 0 else -wanted) - held
            order["side"] = 1 if change >= 0 else -1
            return abs(change)
        if kind == SizeKind.QTY:
            return self._floor(order, size)
        price = self._price(order, reference)
        if kind == SizeKind.NOTIONAL:
            return self._floor(order, size / price)
        return self._affordable(order, price, size * self.margin_balance)

    def _floor(self, order, qty):
        step = dec(self.feed.symbols[order["i_symbol"]].instrument.step_size)
        return (qty / step + TINY).to_integral_value(ROUND_FLOOR) * step

    def _cost_per_unit(self, order, price):
        open_loss = max(ZERO, order["side"] * (price - self.holdings[order["i_symbol"]].mark))
        return price / order["leverage"] + price * self.fee_rate + open_loss

    def _affordable(self, order, price, budget):
        if budget <= 0:
            return ZERO
        qty = self._floor(order, budget / self._cost_per_unit(order, price))
        step = dec(self.feed.symbols[order["i_symbol"]].instrument.step_size)
        while qty > 0 and qty * self._cost_per_unit(order, price) > budget:
            qty -= step
        return qty

    def _refusal(self, order, reference):
        qty = self._resolve(order, reference)
        price = self._price(order, reference)
        held = self.holdings[order["i_symbol"]].qty
        closing = min(qty, abs(held)) if held * order["side"] < 0 else ZERO
        if order["size_kind"] == SizeKind.POSITION_PERCENT and not held:
            return Reason.NO_POSITION
        if qty == 0:
            return Reason.ALREADY_THERE if order["size_kind"] == SizeKind.TARGET_RATIO else Reason.BELOW_MIN_QTY
        if order["is_reduce_only"]:
            return self._size_refusal(order, closing, closing, price) if closing else Reason.REDUCE_ONLY
        if self.is_spot and order["side"] < 0 and closing < qty:
            return Reason.SPOT_SHORT
        reason = self._size_refusal(order, qty, closing, price)
        if reason != Reason.NONE or closing == qty:
            return reason
        if order["leverage"] > dec(self.request.max_leverage):
            return Reason.LEVERAGE_ABOVE_LIMIT
        resulting = abs(held + order["side"] * qty) * price
        if not self.is_spot and order["leverage"] > dec(self.tier_of(order["i_symbol"], resulting).max_leverage):
            return Reason.LEVERAGE_ABOVE_TIER
        return Reason.NONE if closing else self._margin_refusal(order, qty, price)

    def _size_refusal(self, order, qty, closing, price):
        instrument = self.feed.symbols[order["i_symbol"]].instrument
        if closing == qty and not self.is_spot:
            return Reason.NONE
        if qty < dec(instrument.min_qty):
            return Reason.BELOW_MIN_QTY
        return Reason.BELOW_MIN_NOTIONAL if qty * price < dec(instrument.min_notional) else Reason.NONE

    def _margin_refusal(self, order, qty, price):
        needed = qty * self._cost_per_unit(order, price)
        if order["size_kind"] == SizeKind.TARGET_RATIO:  # its costs may shave the quantity, its margin must fit
            needed = qty * price / order["leverage"] / (1 + self.slippage + TINY)
        return Reason.INSUFFICIENT_MARGIN if needed > self.available else Reason.NONE
