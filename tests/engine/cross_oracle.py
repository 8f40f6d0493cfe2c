"""The Decimal account under cross margin: one wallet, and a search over each bar for when it no longer suffices."""

from decimal import Decimal

from backtests.engine.kernels.types import Reason, SizeKind
from tests.engine.oracle import Oracle
from tests.engine.oracle_market import ONE, ZERO

PER_LEG = 32  # where the search looks on each leg of the path, before it halves


class CrossOracle(Oracle):
    """For futures."""

    @property
    def available(self):
        bound = sum(h.margin * h.mark / h.entry for h in self.holdings if h.qty)
        return max(ZERO, self.margin_balance - bound)

    def wallet_of(self, i):
        return self.wallet

    def bearable(self, i, share):
        return self.wallet

    @property
    def margin_ratio(self):
        held = [i for i, holding in enumerate(self.holdings) if holding.qty]
        needed = sum(self.maintenance(i, self.holdings[i].mark) for i in held)
        if not held:
            return ZERO
        return needed / self.margin_balance if self.margin_balance > 0 else ONE

    def account_excess(self, marks):
        """Margin balance - maintenance margin of all positions at these marks, {i: mark}."""
        pnl = sum(self.holdings[i].qty * (mark - self.holdings[i].entry) for i, mark in marks.items())
        return self.wallet + pnl - sum(self.maintenance(i, mark) for i, mark in marks.items())

    def _liquidate_if_due(self, i):
        marks = {j: holding.mark for j, holding in enumerate(self.holdings) if holding.qty}
        if marks and self.account_excess(marks) <= 0:
            self._liquidate_all()

    def _liquidate_all(self):
        def cost(i):
            holding = self.holdings[i]
            rate = Decimal(repr(self.feed.symbols[i].instrument.liquidation_fee_rate))
            return abs(holding.qty) * holding.mark * rate - holding.pnl

        held = [i for i, holding in enumerate(self.holdings) if holding.qty]
        for i in sorted(held, key=lambda i: (cost(i) > 0, i)):
            self._liquidate(i, self.holdings[i].mark)
        for i in range(len(self.holdings)):
            self._cancel_liquidated(i)

    def _walk_path(self):
        ways = {i: self._way(i) for i, holding in enumerate(self.holdings) if holding.qty}
        if not ways:
            return

        def excess(clock):
            return self.account_excess({i: _price_at(way, clock) for i, way in ways.items()})

        due = next((t for t in (Decimal(k) / PER_LEG for k in range(3 * PER_LEG + 1)) if excess(t) <= 0), None)
        if due:
            alive, dead = due - ONE / PER_LEG, due
            for _ in range(110):
                middle = (alive + dead) / 2
                alive, dead = (alive, middle) if excess(middle) <= 0 else (middle, dead)
            due = dead
        for i, way in ways.items():
            self._see(i, way, Decimal(3) if due is None else due)
        if due is not None:
            self._liquidate_all()

    def _affordable(self, order, price, budget):
        """Its fee is within the wallet, too: profit can carry a margin, but not pay."""
        qty = super()._affordable(order, price, budget)
        if self.fee_rate > 0:
            qty = min(qty, self._floor(order, self.wallet / (price * self.fee_rate)))
        return qty

    def _margin_refusal(self, order, qty, price):
        if order["size_kind"] != SizeKind.TARGET_RATIO and qty * price * self.fee_rate > self.wallet:
            return Reason.INSUFFICIENT_MARGIN
        return super()._margin_refusal(order, qty, price)


def _price_at(way, clock):
    leg = min(int(clock), 2)
    return way[leg] + (way[leg + 1] - way[leg]) * (clock - leg)
