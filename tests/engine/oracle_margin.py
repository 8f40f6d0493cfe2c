"""The oracle's account: positions, isolated and cross margin, liquidation, funding.

Liquidation is looked for by halving; no formula of a liquidation price is used.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from backtests.engine.kernels.types import ExitReason, OrderStatus, Reason
from tests.engine.oracle_market import ONE, ZERO, dec
from tests.engine.oracle_orders import Terms
from tests.engine.oracle_path import knots_between, price_at

N_HALVINGS = 100


@dataclass
class Holding:
    qty: Decimal = ZERO  # signed
    entry: Decimal = ZERO
    margin: Decimal = ZERO  # brought by the entries
    wallet: Decimal = ZERO  # isolated; stays 0 in cross mode
    mark: Decimal = ZERO
    trade: dict = field(default_factory=dict)

    @property
    def side(self):
        return (self.qty > 0) - (self.qty < 0)

    def pnl_at(self, mark):
        return self.qty * (mark - self.entry) if self.qty else ZERO

    @property
    def pnl(self):
        return self.pnl_at(self.mark)

    def note(self):
        """Remember the worst and the best that the trade has seen."""
        if self.qty:
            self.trade["mae"] = min(self.trade["mae"], self.pnl)
            self.trade["mfe"] = max(self.trade["mfe"], self.pnl)


def halve(low, high, is_low_of):
    """The point between low and high at which `is_low_of` turns from true to false."""
    for _ in range(N_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_low_of(middle) else (low, middle)
    return (low + high) / 2


class OracleMargin:
    """Needs `holdings`, `wallet`, the market, `fills` and the orders of the oracle."""

    @property
    def held(self):
        return [i for i, holding in enumerate(self.holdings) if holding.qty]

    @property
    def margin_balance(self):
        return self.wallet + sum((h.pnl for h in self.holdings), ZERO)

    @property
    def available(self):
        if not self.is_cross:
            return self.wallet - sum((h.wallet for h in self.holdings), ZERO)
        # |qty| x mark / leverage, where leverage = |qty| x entry / margin
        bound = sum((h.mark * h.margin / h.entry for h in self.holdings if h.qty), ZERO)
        return max(ZERO, self.margin_balance - bound)

    def tier_of(self, i, notional):
        return [t for t in self.feed.symbols[i].instrument.tiers if dec(t.floor) <= notional][-1]

    def maintenance(self, i, price):
        notional = abs(self.holdings[i].qty) * price
        tier = self.tier_of(i, notional)
        return notional * dec(tier.maintenance_rate) - dec(tier.cumulative)

    @property
    def margin_ratio(self):
        if self.is_spot or not self.held:
            return ZERO
        if self.is_cross:
            balance = self.margin_balance
            return self._maintenance_of_all() / balance if balance > 0 else ONE
        own = {i: self.holdings[i].wallet + self.holdings[i].pnl for i in self.held}
        return max(self.maintenance(i, self.holdings[i].mark) / own[i] if own[i] > 0 else ONE for i in self.held)

    def _maintenance_of_all(self):
        return sum((self.maintenance(i, self.holdings[i].mark) for i in self.held), ZERO)

    # When is it due?
    def excess(self, i, price):
        """Isolated: margin balance - maintenance margin of a position at a price: at 0 or below it is liquidated."""
        holding = self.holdings[i]
        return holding.wallet + holding.pnl_at(price) - self.maintenance(i, price)

    def excess_of_all(self, ways, clock):
        """Cross: the same of the whole account at a moment of the path."""
        total = self.wallet
        for i in self.held:
            mark = price_at(ways[i], clock)
            total += self.holdings[i].pnl_at(mark) - self.maintenance(i, mark)
        return total

    def isolated_due(self, i, way, now):
        """(clock, price) at which a position is liquidated on its way, from now on; None if it is not."""
        if self.excess(i, price_at(way, now)) <= 0:
            return now, price_at(way, now)
        start = now
        for k in knots_between(now, 3):
            if self.excess(i, way[k]) <= 0:
                clock = halve(start, Decimal(k), lambda t: self.excess(i, price_at(way, t)) > 0)
                return clock, price_at(way, clock)
            start = Decimal(k)
        return None

    def cross_due(self, ways, now):
        """The clock at which the account is liquidated. Between knots the excess is concave, so it crosses 0 once."""
        if not self.held:
            return None
        if self.excess_of_all(ways, now) <= 0:
            return now
        start = now
        for k in knots_between(now, 3):
            if self.excess_of_all(ways, Decimal(k)) <= 0:
                return halve(start, Decimal(k), lambda t: self.excess_of_all(ways, t) > 0)
            start = Decimal(k)
        return None

    def liquidate_if_due(self):
        """At the marks of this moment."""
        if self.is_spot:
            return
        if self.is_cross:
            balance = self.margin_balance
            if self.held and balance <= self._maintenance_of_all():
                self.liquidate_all()
            return
        for i in self.held:
            if self.excess(i, self.holdings[i].mark) <= 0:
                self.liquidate(i, self.holdings[i].mark)

    # What it does.
    def liquidate_all(self):
        """Cross: who brings money closes first, then the others, each in the order of the symbols."""
        costs = {i: self._liquidation_cost(i, self.holdings[i].mark) for i in self.held}
        for i in sorted(costs, key=lambda i: (costs[i] > 0, i)):
            self.liquidate(i, self.holdings[i].mark)
        for order in list(self.waiting):
            self._drop(order, OrderStatus.CANCELLED, Reason.LIQUIDATED)

    def _liquidation_cost(self, i, price):
        rate = dec(self.feed.symbols[i].instrument.liquidation_fee_rate)
        return abs(self.holdings[i].qty) * price * rate - self.holdings[i].pnl_at(price)

    def liquidate(self, i, price):
        holding = self.holdings[i]
        holding.mark = price
        holding.note()
        cost = self._liquidation_cost(i, price)
        loss = min(self.wallet if self.is_cross else holding.wallet, cost)
        row = {"i_symbol": i, "price": price, "loss": loss, "covered": cost - loss}
        self.liquidations.append({**row, "maintenance_margin": self.maintenance(i, price)})
        fee = cost + holding.pnl
        terms = Terms(price, price, ZERO, None)
        self._append_fill(i, None, -holding.side, abs(holding.qty), terms, fee, holding.pnl, cost - loss)
        trade = holding.trade
        trade["liquidation_loss"] += loss
        self._leave(trade, abs(holding.qty), price)
        self.wallet = max(self.wallet - loss, ZERO)
        trade |= {"i_bar_exit": self.i, "exit_reason": ExitReason.LIQUIDATION}
        self.holdings[i] = Holding(mark=price)
        self.fills[-1] |= {"position_qty": ZERO, "wallet_balance": self.wallet}
        for order in [o for o in self.waiting if o.i_symbol == i]:
            self._drop(order, OrderStatus.CANCELLED, Reason.LIQUIDATED)

    # Funding.
    def charge_funding(self, *, is_late):
        for time, i, rate, mark in self.stamps.get((self.j, is_late), ()):
            holding = self.holdings[i]
            if not holding.qty:
                continue
            payment = max(-holding.qty * mark * rate, -(self.wallet if self.is_cross else holding.wallet))
            if not self.is_cross:
                holding.wallet += payment
            self.wallet += payment
            holding.trade["funding"] += payment
            self.funding.append({"time_ms": time, "i_symbol": i, "payment": payment, "mark_price": mark})
            self._liquidate_after_funding(i)

    def _liquidate_after_funding(self, i):
        if self.is_cross:
            self.liquidate_if_due()
        elif self.excess(i, self.holdings[i].mark) <= 0:
            self.liquidate(i, self.holdings[i].mark)
