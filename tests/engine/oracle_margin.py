"""What an account of the oracle is worth, what it binds, and where a position ends."""

from tests.engine.oracle_market import ONE, ZERO, dec


class OracleMargin:
    """Isolated margin: needs the holdings, the wallet and the feed of the oracle."""

    @property
    def margin_balance(self):
        return self.wallet + sum(h.pnl for h in self.holdings)

    @property
    def available(self):
        return self.wallet - sum(h.wallet for h in self.holdings)

    def wallet_of(self, i):
        """What bears a position's losses."""
        return self.holdings[i].wallet

    def bearable(self, i, share):
        """The most that closing a share of a position may cost."""
        return self.holdings[i].wallet * share + self.available

    @property
    def margin_ratio(self):
        ratio = ZERO
        for i, holding in enumerate(self.holdings):
            if holding.qty and not self.is_spot:
                own = holding.wallet + holding.pnl
                ratio = max(ratio, self.maintenance(i, holding.mark) / own if own > 0 else ONE)
        return ratio

    def tier_of(self, i, notional):
        tiers = self.feed.symbols[i].instrument.tiers
        return [t for t in tiers if dec(t.floor) <= notional][-1]

    def maintenance(self, i, price):
        notional = abs(self.holdings[i].qty) * price
        tier = self.tier_of(i, notional)
        return notional * dec(tier.maintenance_rate) - dec(tier.cumulative)

    def excess(self, i, price):
        """Margin balance - maintenance margin of a position at a price: at 0 or below it is liquidated."""
        holding = self.holdings[i]
        return holding.wallet + holding.qty * (price - holding.entry) - self.maintenance(i, price)

    def liquidation_level(self, i):
        """By halving: the excess falls with the price of a long, and rises with that of a short."""
        if self.is_spot:
            return None
        side = self.holdings[i].side
        low, high = ZERO, self.holdings[i].entry * 1000
        if (side > 0 and self.excess(i, low) > 0) or (side < 0 and self.excess(i, high) > 0):
            return None
        for _ in range(120):
            middle = (low + high) / 2
            is_dead = self.excess(i, middle) <= 0
            low, high = (middle, high) if is_dead == (side > 0) else (low, middle)
        return (low + high) / 2
