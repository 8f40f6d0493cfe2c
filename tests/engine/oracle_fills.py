"""How the oracle fills an order, and what that does to the orders that hang on it."""

from backtests.engine.kernels.types import ExitReason, OrderKind, OrderStatus, Reason, SizeKind
from tests.engine.oracle_margin import Holding
from tests.engine.oracle_market import ONE, ZERO
from tests.engine.oracle_orders import ATTACHED, TINY

EXITS = {
    OrderKind.STOP_LOSS: ExitReason.STOP_LOSS,
    OrderKind.TAKE_PROFIT: ExitReason.TAKE_PROFIT,
    OrderKind.TRAILING_STOP: ExitReason.TRAILING_STOP,
}
SUMS = ("paid", "got", "qty", "closed_qty", "initial_margin", "gross_pnl", "fees", "funding", "liquidation_loss")


class OracleFills:
    """Needs the account, the orders and the clock of the oracle."""

    def _fill(self, order, reference, *, is_maker=False):
        """Fill what can be filled now. The order ends, or goes on with what the capacity left over."""
        if self.room[order.i_symbol] == 0:
            return self._go_on(order)
        terms = self._terms_now(order, reference, is_maker=is_maker)
        reason = self._refusal(order, terms)
        if reason != Reason.NONE:
            return self._refuse(order, reason)
        is_shaved = self._is_shaved(order)
        rest = self._rest(order, terms)
        if order.qty is None and not order.is_attached:
            order.qty = rest
        held = self.holdings[order.i_symbol].qty
        closing = min(rest, abs(held)) if held * order.side < 0 else ZERO
        opening = ZERO if order.is_reduce_only else rest - closing
        if closing:
            take = self._take_room(order, closing)
            room = self.room[order.i_symbol]
            is_flip = opening and take == closing and room != 0
            reason = ExitReason.FLIP if is_flip else EXITS.get(order.kind, ExitReason.ORDER)
            self._reduce(order, take, terms, reason)
            if take < closing or (opening and room == 0):
                return self._go_on(order)
        if opening:
            return self._open(order, opening, terms, is_shaved=is_shaved)
        return self._end(order, OrderStatus.FILLED)

    def _open(self, order, opening, terms, *, is_shaved):
        is_refused = not is_shaved and self._margin_refusal(order, opening, terms) != Reason.NONE
        if is_shaved or order.size_kind == SizeKind.TARGET_RATIO:
            asked, opening = opening, min(opening, self._affordable(order, terms, self.available))
            order.qty -= asked - opening  # what is not affordable now is given up
            is_refused = is_refused or (is_shaved and self._is_fee_beyond_wallet(opening, terms))
        if is_refused or not opening:
            return self._refuse(order, Reason.INSUFFICIENT_MARGIN)
        take = self._take_room(order, opening)
        self._increase(order, take, terms)
        return self._go_on(order) if take < opening else self._end(order, OrderStatus.FILLED)

    def _take_room(self, order, qty):
        i = order.i_symbol
        if self.room[i] is None:
            return qty
        take = min(qty, self.room[i])
        self.room[i] -= take
        return take

    def _go_on(self, order):
        """Limits when touched again in a later bar, everything else at the next traded open."""
        order.status = OrderStatus.PARTLY_FILLED if order.filled else OrderStatus.PENDING
        order.stage = "rests" if order.is_limit_now else "open"
        order.blocked_at = self.j

    def _refuse(self, order, reason):
        is_quiet = order.filled or reason == Reason.ALREADY_THERE
        self._end(order, OrderStatus.CANCELLED if is_quiet else OrderStatus.REJECTED, reason)

    # The ends of orders.
    def _drop(self, order, status, reason=Reason.NONE):
        """It waits no longer; nothing else happens."""
        if order in self.waiting:
            self.waiting.remove(order)
        order.status, order.reason = status, reason

    def _end(self, order, status, reason=Reason.NONE):
        self._drop(order, status, reason)
        if not order.opened:  # its children have nothing to live for
            why = Reason.POSITION_CLOSED if order.filled else Reason.ENTRY_ENDED
            self._cancel(self._family(order.order_id), why)
        if order.is_attached and order.filled:
            self._after_exit(order)

    def _cancel(self, orders, reason):
        for order in orders:
            if order in self.waiting:
                self._drop(order, OrderStatus.CANCELLED, reason)

    def _family(self, parent_id):
        return [self.orders[i] for i in self.orders[parent_id].children]

    def _after_exit(self, order):
        """A stop that has closed all it covers ends its siblings; so does the last of what is covered."""
        is_stop = order.kind != OrderKind.TAKE_PROFIT and order.status == OrderStatus.FILLED
        if is_stop or self._uncovered(order.parent_id) == 0:
            self._cancel(self._family(order.parent_id), Reason.POSITION_CLOSED)

    def _after_flat(self, i, cause):
        """The position is gone: live attached orders, set ones, and what is left of partly filled entries go."""
        for order in list(self.waiting):
            is_live = order.kind in ATTACHED and order.stage != "sleeps"
            is_gone = order not in self.waiting or order.i_symbol != i or order is cause
            if not is_gone and (is_live or (order.opened and order.children)):
                self._end(order, OrderStatus.CANCELLED, Reason.POSITION_CLOSED)

    # What attached orders cover.
    def _uncovered(self, parent_id):
        """What the entry opened and its attached orders have not closed yet."""
        return self.orders[parent_id].opened - sum((o.filled for o in self._family(parent_id)), ZERO)

    def _covered(self, order):
        left = self._uncovered(order.parent_id)
        if order.kind != OrderKind.TAKE_PROFIT:
            return left
        targets = [o for o in self._family(order.parent_id) if o.kind == OrderKind.TAKE_PROFIT]
        opened = self.orders[order.parent_id].opened
        parts = [self._floor(order.i_symbol, o.share * opened) for o in targets]
        if abs(sum(o.share for o in targets) - 1) <= TINY:
            parts[-1] = opened - sum(parts[:-1])
        part = parts[[o.order_id for o in targets].index(order.order_id)]
        return max(min(part - order.filled, left), ZERO)

    def _wake_children(self, order, terms):
        for child in self._family(order.order_id):
            if child.stage != "sleeps" or child not in self.waiting:
                continue
            child.stage = "rests"
            child.side = -order.side
            if child.kind == OrderKind.TRAILING_STOP:
                child.best = terms.reference
            if child.exit_ratio is not None:
                sign = order.side if child.kind == OrderKind.TAKE_PROFIT else -order.side
                child.stop_price = self._to_tick(child.i_symbol, terms.price * (1 + sign * child.exit_ratio), sign)

    # What fills do to the account.
    def _increase(self, order, qty, terms):
        i = order.i_symbol
        holding = self.holdings[i]
        margin, fee = qty * terms.price / order.leverage, qty * terms.price * terms.fee_rate
        if not holding.qty:
            holding.trade = {
                "trade_id": len(self.trades),
                "i_symbol": i,
                "side": order.side,
                "i_bar_entry": self.i,
                "i_bar_exit": -1,
                "exit_reason": ExitReason.OPEN,
                "is_ambiguous": False,
                **dict.fromkeys((*SUMS, "covered", "mae", "mfe"), ZERO),
            }
            self.trades.append(holding.trade)
        trade = holding.trade
        trade["qty"] += qty
        trade["paid"] += qty * terms.price
        trade["initial_margin"] += margin
        trade["fees"] += fee
        total = abs(holding.qty) + qty
        holding.entry = (abs(holding.qty) * holding.entry + qty * terms.price) / total
        holding.qty = order.side * total
        holding.margin += margin
        holding.wallet += ZERO if self.is_cross else margin
        self.wallet -= fee
        order.filled += qty
        order.opened += qty
        self._append_fill(i, order, order.side, qty, terms, fee, ZERO, ZERO)
        holding.note()
        self._wake_children(order, terms)

    def _reduce(self, order, qty, terms, reason):
        i = order.i_symbol
        holding = self.holdings[i]
        share = qty / abs(holding.qty)
        fee = qty * terms.price * terms.fee_rate
        gain = holding.side * qty * (terms.price - holding.entry)
        bearable = self.wallet if self.is_cross else holding.wallet * share + self.available
        covered = max(ZERO, fee - gain - bearable)
        trade = holding.trade
        trade["gross_pnl"] += gain
        trade["fees"] += fee
        trade["covered"] += covered
        self._leave(trade, qty, terms.price)
        self.wallet = max(self.wallet + gain - fee + covered, ZERO)
        holding.margin *= ONE - share
        holding.wallet *= ONE - share
        holding.qty += order.side * qty
        order.filled += qty
        self._append_fill(i, order, order.side, qty, terms, fee, gain, covered)
        if not holding.qty:
            trade |= {"i_bar_exit": self.i, "exit_reason": reason}
            self.holdings[i] = Holding(mark=holding.mark)
            self._after_flat(i, order)

    def _append_fill(self, i, order, side, qty, terms, fee, gain, covered):
        self.fills.append(
            {
                "order_id": order.order_id if order else -1,
                "trade_id": self.holdings[i].trade["trade_id"],
                "i_bar": self.i,
                "time_ms": self.time,
                "i_symbol": i,
                "side": side,
                "kind": order.kind if order else OrderKind.LIQUIDATION,
                "qty": qty,
                "price": terms.price,
                "fee": fee,
                "is_maker": terms.is_maker,
                "slippage": qty * abs(terms.price - terms.reference),
                "realised_pnl": gain,
                "covered": covered,
                "position_qty": self.holdings[i].qty,
                "wallet_balance": self.wallet,
            }
        )

    @staticmethod
    def _leave(trade, qty, price):
        trade["closed_qty"] += qty
        trade["got"] += qty * price
