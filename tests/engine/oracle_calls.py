"""What a strategy may ask of the oracle, under the names and with the words of Account."""

import math
from collections.abc import Sequence

from backtests.engine.errors import OrderError
from backtests.engine.kernels.types import OrderKind, OrderStatus, Reason, SizeKind
from tests.engine.oracle_market import ONE, dec
from tests.engine.oracle_orders import ATTACHED, TARGETS, Order

NAN = math.nan


def given(number):
    """A Decimal; None for NaN, which means "not given"."""
    return None if math.isnan(number) else dec(number)


class OracleCalls:
    """Needs the rules for orders and for fills."""

    def submit(
        self,
        *,
        side,
        size,
        size_kind=SizeKind.QTY,
        i_symbol=0,
        leverage=None,
        limit_price=NAN,
        stop_price=NAN,
        stop_loss=NAN,
        take_profit=NAN,
        trailing_ratio=NAN,
        is_reduce_only=False,
        is_post_only=False,
        good_for_bars=0,
        tag="",
    ):
        has_limit, has_stop = not math.isnan(limit_price), not math.isnan(stop_price)
        kind = {
            (False, False): OrderKind.MARKET,
            (True, False): OrderKind.LIMIT,
            (False, True): OrderKind.STOP,
            (True, True): OrderKind.STOP_LIMIT,
        }[has_limit, has_stop]
        order = self._new(kind, size_kind, i_symbol, side, size, leverage)
        order.is_reduce_only, order.is_post_only = is_reduce_only, is_post_only
        order.good_for_bars = good_for_bars
        order.limit_price = self._to_tick(i_symbol, given(limit_price), -side)
        order.stop_price = self._to_tick(i_symbol, given(stop_price), side)
        if not isinstance(take_profit, Sequence):
            take_profit = [] if math.isnan(take_profit) else [(1.0, take_profit)]
        children = []
        if not math.isnan(stop_loss):
            price = self._to_tick(i_symbol, dec(stop_loss), -side)
            children.append({"kind": OrderKind.STOP_LOSS, "stop_price": price})
        for share, target in take_profit:
            price = self._to_tick(i_symbol, dec(target), side)
            children.append({"kind": OrderKind.TAKE_PROFIT, "stop_price": price, "share": dec(share)})
        if not math.isnan(trailing_ratio):
            children.append({"kind": OrderKind.TRAILING_STOP, "trailing_ratio": dec(trailing_ratio)})
        self._place(order, children)

    def close_position(self, *, i_symbol=0, percentage=100.0, tag=""):
        order = self._new(OrderKind.MARKET, SizeKind.POSITION_PERCENT, i_symbol, 0, percentage, None)
        order.is_reduce_only = True
        self._place(order, [])

    def target_ratio(self, *, ratio, i_symbol=0, leverage=None, tag=""):
        self.target(size=ratio, i_symbol=i_symbol, leverage=leverage)

    def target(
        self, *, size, size_kind=SizeKind.TARGET_RATIO, i_symbol=0, leverage=None, stop_loss=NAN, take_profit=NAN
    ):
        """A position wanted; stop and take-profit are ratios of the price at which it opens."""
        order = self._new(OrderKind.MARKET, size_kind, i_symbol, 0, size, leverage)
        children = []
        if not math.isnan(stop_loss):
            children.append({"kind": OrderKind.STOP_LOSS, "exit_ratio": dec(stop_loss)})
        if not math.isnan(take_profit):
            children.append({"kind": OrderKind.TAKE_PROFIT, "exit_ratio": dec(take_profit), "share": ONE})
        self._place(order, children)

    def _new(self, kind, size_kind, i_symbol, side, size, leverage):
        leverage = dec(self.request.leverage if leverage is None else leverage)
        order = Order(len(self.orders), i_symbol, side, kind, size_kind, dec(size), leverage, self.i)
        self.orders.append(order)
        return order

    def _place(self, order, children):
        """Accept the order, with the orders attached to it, or refuse it; fill it if it fills at this close."""
        quote = self.last[order.i_symbol][self.j]
        if self.is_ruined:
            return self._refuse(order, Reason.RUINED)
        if quote is not None:
            reason = self._first_refusal(order, children, quote.close)
            if reason != Reason.NONE:
                return self._refuse(order, reason)
        for words in children:
            child = self._new(words["kind"], SizeKind.POSITION_PERCENT, order.i_symbol, -order.side, 0.0, None)
            child.parent_id, child.is_reduce_only, child.stage = order.order_id, True, "sleeps"
            for name, value in words.items():
                setattr(child, name, value)
            order.children.append(child.order_id)
        self.waiting += [order, *self._family(order.order_id)]
        self._go_live(order)
        return None

    def _first_refusal(self, order, children, close):
        prices = [order.limit_price, order.stop_price, *(words.get("stop_price") for words in children)]
        if any(price is not None and price <= 0 for price in prices) or not self._is_on_its_side(order, close):
            return Reason.INVALID_PRICE
        base = self._base(order, close)
        if not all(self._is_beside(words["kind"], order.side, words.get("stop_price"), base) for words in children):
            return Reason.INVALID_PRICE
        terms = self._terms_at_submission(order, close)
        reason = self._refusal(order, terms)
        if reason != Reason.NONE:
            return reason
        if self._is_due_at_close(order) and order.is_post_only:
            return Reason.WOULD_TAKE
        if order.kind != OrderKind.MARKET and order.qty is None:
            order.qty = self._resolve(order, terms)
        if self._is_due_at_close(order) and self.room[order.i_symbol] != 0:
            return self._refusal(order, self._terms_now(order, close))
        return Reason.NONE

    @staticmethod
    def _is_on_its_side(order, close):
        if order.kind not in (OrderKind.STOP, OrderKind.STOP_LIMIT) or order.is_triggered:
            return True
        return (order.stop_price - close) * order.side > 0

    @staticmethod
    def _base(order, close):
        """What the prices of attached orders are compared with."""
        prices = (order.limit_price, order.stop_price, close)
        return next(price for price in prices if price is not None)

    @staticmethod
    def _is_beside(kind, entry_side, price, base):
        """Is a stop on the losing side of the base, a take-profit on the winning one?"""
        if price is None:
            return True
        return (price - base) * (entry_side if kind == OrderKind.TAKE_PROFIT else -entry_side) > 0

    def _is_due_at_close(self, order):
        """Does it fill in the call?"""
        is_now = self.request.fill == "close" and self.is_traded_step[order.i_symbol]
        if order.kind == OrderKind.MARKET or not order.is_limit_now:
            return is_now and order.kind == OrderKind.MARKET
        return is_now and self._is_marketable(order, self.last[order.i_symbol][self.j].close)

    def _go_live(self, order):
        """Where an accepted order waits, if it does not fill at once."""
        is_now = self.request.fill == "close" and self.is_traded_step[order.i_symbol]
        if order.kind in (OrderKind.STOP, OrderKind.STOP_LIMIT) and not order.is_triggered:
            order.stage = "rests"
        else:
            order.stage = "rests" if is_now and order.is_limit_now else "open"
        if self._is_due_at_close(order):
            self._fill(order, self.last[order.i_symbol][self.j].close)

    # Stops and targets of an open position.
    def set_stop_loss(self, *, price, i_symbol=0):
        self._set_exit(OrderKind.STOP_LOSS, price, i_symbol)

    def set_take_profit(self, *, price, i_symbol=0):
        self._set_exit(OrderKind.TAKE_PROFIT, price, i_symbol)

    def _set_exit(self, kind, price, i_symbol):
        held_side = self.holdings[i_symbol].side
        order = self._new(kind, SizeKind.POSITION_PERCENT, i_symbol, -held_side, 100.0, None)
        order.is_reduce_only, order.stage = True, "rests"
        if self.is_ruined:
            return self._refuse(order, Reason.RUINED)
        if not held_side:
            return self._refuse(order, Reason.NO_POSITION)
        direction = held_side if kind == OrderKind.TAKE_PROFIT else -held_side
        order.stop_price = self._to_tick(i_symbol, dec(price), direction)
        close = self.last[i_symbol][self.j].close
        if order.stop_price <= 0 or not self._is_beside(kind, held_side, order.stop_price, close):
            return self._refuse(order, Reason.INVALID_PRICE)
        old = [o for o in self.waiting if o.i_symbol == i_symbol and o.kind == kind and o.stage != "sleeps"]
        for one in old:
            self._end(one, OrderStatus.CANCELLED, Reason.REPLACED)
        self.waiting.append(order)
        return None

    # Changing and cancelling.
    def cancel(self, *, order_id):
        self._find(order_id)
        for order in [o for o in self.waiting if o.order_id == order_id]:
            self._end(order, OrderStatus.CANCELLED, Reason.BY_STRATEGY)

    def cancel_all(self, *, i_symbol=-1):
        for order in list(self.waiting):
            if i_symbol in (-1, order.i_symbol) and order in self.waiting:
                self._end(order, OrderStatus.CANCELLED, Reason.BY_STRATEGY)

    def _find(self, order_id):
        if not 0 <= order_id < len(self.orders):
            raise OrderError("There is no such order.")
        return self.orders[order_id]

    def modify(self, order_id, *, limit_price=NAN, stop_price=NAN, qty=NAN):
        order = self._find(order_id)
        limit, stop, qty = given(limit_price), given(stop_price), given(qty)
        self._check_modify(order, limit, stop, qty)
        before = dict(vars(order))
        if limit is not None:
            order.limit_price = self._to_tick(order.i_symbol, limit, -order.side)
        if stop is not None:
            order.stop_price = self._to_tick(order.i_symbol, stop, order.trigger)
        if qty is not None:
            order.qty, order.size, order.size_kind = self._floor(order.i_symbol, qty), qty, SizeKind.QTY
        if not self._is_modified_well(order):
            vars(order).update(before)
            return False
        close = self.last[order.i_symbol][self.j].close
        if limit is not None and order.is_limit_now and self._is_marketable(order, close):
            if self._is_due_at_close(order) and order.is_post_only:
                self._refuse(order, Reason.WOULD_TAKE)
            else:
                self._go_live(order)
        return True

    def _check_modify(self, order, limit, stop, qty):
        prices = {
            OrderKind.LIMIT: (True, False),
            OrderKind.STOP: (False, True),
            OrderKind.STOP_LIMIT: (True, True),
            OrderKind.STOP_LOSS: (False, True),
            OrderKind.TAKE_PROFIT: (False, True),
        }
        has_limit, has_stop = prices.get(order.kind, (False, False))
        has_stop = has_stop and not order.is_triggered
        is_fixed = order.kind in ATTACHED or order.size_kind in (SizeKind.POSITION_PERCENT, *TARGETS)
        if order not in self.waiting:
            raise OrderError("It does not wait.")
        if (limit is not None and not has_limit) or (stop is not None and not has_stop):
            raise OrderError("It has no such price.")
        if qty is not None and is_fixed:
            raise OrderError("Its size is that of the position.")

    def _is_modified_well(self, order):
        close = self.last[order.i_symbol][self.j].close
        if order.kind in ATTACHED:
            entry = self.orders[order.parent_id] if order.is_attached else None
            base = self._base(entry, close) if entry and order.stage == "sleeps" else close
            return order.stop_price > 0 and self._is_beside(order.kind, -order.side, order.stop_price, base)
        if order.qty is not None and order.qty <= order.filled:
            return False
        asleep = [{"kind": o.kind, "stop_price": o.stop_price} for o in self._family(order.order_id)
                  if o.stage == "sleeps" and o in self.waiting]  # fmt: skip
        prices = [order.limit_price, order.stop_price]
        if any(price is not None and price <= 0 for price in prices) or not self._is_on_its_side(order, close):
            return False
        base = self._base(order, close)
        if not all(self._is_beside(words["kind"], order.side, words["stop_price"], base) for words in asleep):
            return False
        return self._refusal(order, self._terms_at_submission(order, close)) == Reason.NONE
