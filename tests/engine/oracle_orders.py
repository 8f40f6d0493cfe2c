"""An order of the oracle: its prices on the grid, its size resolved, and why it is refused."""

from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple

from backtests.engine.kernels.types import OrderKind, OrderStatus, Reason, SizeKind
from tests.engine.oracle_market import ZERO, dec

TINY = Decimal("1e-9")  # of a step
TICK_TINY = Decimal("1e-6")  # of a tick
TARGETS = (SizeKind.TARGET_RATIO, SizeKind.TARGET_QTY, SizeKind.TARGET_NOTIONAL)
ATTACHED = (OrderKind.STOP_LOSS, OrderKind.TAKE_PROFIT, OrderKind.TRAILING_STOP)


@dataclass(eq=False)
class Order:
    order_id: int
    i_symbol: int
    side: int
    kind: OrderKind
    size_kind: SizeKind
    size: Decimal
    leverage: Decimal
    i_bar: int = 0  # the step at whose close it was made
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trailing_ratio: Decimal | None = None
    best: Decimal | None = None  # what a trailing stop trails
    share: Decimal | None = None
    exit_ratio: Decimal | None = None  # of a target's stop or take-profit, before its entry
    parent_id: int = -1
    children: list = field(default_factory=list)  # ids
    is_reduce_only: bool = False
    is_post_only: bool = False
    good_for_bars: int = 0
    status: OrderStatus = OrderStatus.PENDING
    reason: Reason = Reason.NONE
    qty: Decimal | None = None  # resolved
    filled: Decimal = ZERO
    opened: Decimal = ZERO
    stage: str = "open"  # waits for the next traded open; "rests" on the path; "sleeps" until its entry opens
    is_triggered: bool = False
    blocked_at: int = -1  # the finest bar in which there was nothing left to fill it with

    @property
    def is_attached(self):
        return self.parent_id >= 0

    @property
    def is_limit_now(self):
        return self.kind == OrderKind.LIMIT or (self.kind == OrderKind.STOP_LIMIT and self.is_triggered)

    @property
    def trigger(self):
        """Which way the price must go to trigger it: up (+1) or down (-1)."""
        return -self.side if self.kind == OrderKind.TAKE_PROFIT else self.side


class Terms(NamedTuple):
    """What a fill would be made at. No mark: no open loss."""

    reference: Decimal
    price: Decimal
    fee_rate: Decimal
    mark: Decimal | None
    is_maker: bool = False


class OracleOrders:
    """The rules for orders: needs the holdings and balances of the oracle."""

    # Prices.
    def _to_tick(self, i, price, direction):
        """On the grid: up (+1) or down (-1)."""
        tick = dec(self.feed.symbols[i].instrument.tick_size)
        if price is None or not tick:
            return price
        rounding = ROUND_CEILING if direction > 0 else ROUND_FLOOR
        return (price / tick - direction * TICK_TINY).to_integral_value(rounding) * tick

    def _slipped(self, order, reference):
        """Worse by the slippage, but not worse than its limit."""
        price = reference * (1 + order.side * self.slippage)
        if order.limit_price is None:
            return price
        return min(price, order.limit_price) if order.side > 0 else max(price, order.limit_price)

    def _is_marketable(self, order, price):
        return (order.limit_price - price) * order.side >= 0

    def _terms_now(self, order, reference, *, is_maker=False):
        """Those of a fill at this moment. Aims the order first: its side may hang on what is held."""
        self._aim(order, reference)
        mark = self.holdings[order.i_symbol].mark
        if is_maker:
            return Terms(reference, reference, self.maker_fee, mark, True)
        return Terms(reference, self._slipped(order, reference), self.taker_fee, mark)

    def _terms_at_submission(self, order, reference):
        if order.kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT):
            return Terms(order.limit_price, order.limit_price, max(self.maker_fee, self.taker_fee, ZERO), None)
        if order.kind == OrderKind.STOP:
            return Terms(order.stop_price, self._slipped(order, order.stop_price), self.taker_fee, order.stop_price)
        return self._terms_now(order, reference)

    # Sizes.
    def _floor(self, i, qty):
        step = dec(self.feed.symbols[i].instrument.step_size)
        return (qty / step + TINY).to_integral_value(ROUND_FLOOR) * step

    def _aim(self, order, reference):
        """The side of an order whose side follows from what is held; later it stays."""
        held = self.holdings[order.i_symbol].qty
        if order.qty is not None or order.is_attached:
            return
        if order.size_kind == SizeKind.POSITION_PERCENT:
            order.side = -1 if held > 0 else 1
        elif order.size_kind in TARGETS:
            order.side = 1 if self._wanted(order, reference) >= held else -1

    def _wanted(self, order, reference):
        """The signed position that a target asks for."""
        size = abs(order.size)
        if order.size_kind == SizeKind.TARGET_RATIO:
            size = size * max(self.margin_balance, ZERO) / reference
        elif order.size_kind == SizeKind.TARGET_NOTIONAL:
            size = size / reference
        qty = self._floor(order.i_symbol, size)
        return qty if order.size >= 0 else -qty

    def _resolve(self, order, terms):
        """The whole quantity asked for, in whole steps."""
        i = order.i_symbol
        held = self.holdings[i].qty
        if order.size_kind == SizeKind.POSITION_PERCENT:
            return self._floor(i, abs(held) * order.size / 100)
        if order.size_kind in TARGETS:
            return abs(self._wanted(order, terms.reference) - held)
        if order.size_kind == SizeKind.QTY:
            return self._floor(i, order.size)
        if order.size_kind == SizeKind.NOTIONAL:
            return self._floor(i, order.size / terms.price)
        return self._affordable(order, terms, order.size * self.margin_balance)

    def _rest(self, order, terms):
        """What it still asks for."""
        if order.is_attached:
            return self._covered(order)
        return (self._resolve(order, terms) if order.qty is None else order.qty) - order.filled

    def _cost_per_unit(self, order, terms):
        open_loss = ZERO if terms.mark is None else max(ZERO, order.side * (terms.price - terms.mark))
        return terms.price / order.leverage + terms.price * terms.fee_rate + open_loss

    def _affordable(self, order, terms, budget):
        cost = self._cost_per_unit(order, terms)
        if budget <= 0:
            return ZERO
        qty = self._floor(order.i_symbol, budget / cost)
        step = dec(self.feed.symbols[order.i_symbol].instrument.step_size)
        while qty > 0 and qty * cost > budget:
            qty -= step
        return qty

    # Refusals.
    def _refusal(self, order, terms):
        """Why it cannot trade on these terms with all that it still asks for."""
        qty = self._rest(order, terms)
        held = self.holdings[order.i_symbol].qty
        closing = min(qty, abs(held)) if held * order.side < 0 else ZERO
        if order.size_kind == SizeKind.POSITION_PERCENT and not order.is_attached and not held:
            return Reason.NO_POSITION
        if qty == 0:
            return Reason.ALREADY_THERE if order.size_kind in TARGETS else Reason.BELOW_MIN_QTY
        if order.is_reduce_only:
            return self._size_refusal(order, closing, closing, terms.price) if closing else Reason.REDUCE_ONLY
        if self.is_spot and order.side < 0 and closing < qty:
            return Reason.SPOT_SHORT
        reason = self._size_refusal(order, qty, closing, terms.price)
        if reason != Reason.NONE or closing == qty:
            return reason
        if order.leverage > dec(self.request.max_leverage):
            return Reason.LEVERAGE_ABOVE_LIMIT
        resulting = abs(held + order.side * qty) * terms.price
        if not self.is_spot and order.leverage > dec(self.tier_of(order.i_symbol, resulting).max_leverage):
            return Reason.LEVERAGE_ABOVE_TIER
        return Reason.NONE if closing or self._is_shaved(order) else self._margin_refusal(order, qty, terms)

    def _size_refusal(self, order, qty, closing, price):
        """The minimums are of the whole order: a remainder may be smaller."""
        instrument = self.feed.symbols[order.i_symbol].instrument
        if closing == qty and not self.is_spot:
            return Reason.NONE
        whole = qty + order.filled
        if whole < dec(instrument.min_qty):
            return Reason.BELOW_MIN_QTY
        return Reason.BELOW_MIN_NOTIONAL if whole * price < dec(instrument.min_notional) else Reason.NONE

    @staticmethod
    def _is_shaved(order):
        """A share of the equity whose quantity is fixed: at a later fill it takes what is affordable then."""
        return order.size_kind == SizeKind.EQUITY_RATIO and order.qty is not None

    def _margin_refusal(self, order, qty, terms):
        needed = qty * self._cost_per_unit(order, terms)
        if order.size_kind == SizeKind.TARGET_RATIO:  # its costs may shave the quantity, its margin must fit
            needed = qty * terms.price / order.leverage / (1 + self.slippage + TINY)
        if needed > self.available or self._is_fee_beyond_wallet(qty, terms):
            return Reason.INSUFFICIENT_MARGIN
        return Reason.NONE

    def _is_fee_beyond_wallet(self, qty, terms):
        return self.is_cross and qty * terms.price * terms.fee_rate > self.wallet
