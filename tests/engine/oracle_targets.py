"""The oracle that follows targets: a wanted position at the close of every step, of the primary symbol."""

import math

from backtests.engine.strategy.targets import UNITS
from tests.engine.oracle import Oracle
from tests.engine.oracle_market import ZERO, dec

NAN = math.nan


class TargetOracle(Oracle):
    """Plays Targets in place of a script."""

    wanted = 0.0  # a run starts flat
    order_id = -1

    def _calls(self, targets):
        value = float(targets.values[self.i])
        if math.isnan(value) or value == self.wanted:
            if not self._has_drifted(targets):
                return []
        else:
            self.wanted = value
        calls = [("cancel", {"order_id": self.order_id})]  # what still waits gives way
        self.order_id = len(self.orders)
        fields = {
            "size": self.wanted,
            "size_kind": UNITS[targets.unit],
            "leverage": targets.leverage,
            "stop_loss": NAN if targets.stop_loss_ratio is None else targets.stop_loss_ratio,
            "take_profit": NAN if targets.take_profit_ratio is None else targets.take_profit_ratio,
        }
        return [*calls, ("target", fields)]

    def _has_drifted(self, targets):
        holding = self.holdings[0]
        if any(order.order_id == self.order_id for order in self.waiting):
            return False
        if targets.rebalance_band is None or not holding.qty or not self.wanted:
            return False
        value = holding.qty * holding.mark
        if targets.unit == "equity_ratio":
            balance = self.margin_balance
            value = value / balance if balance > ZERO else ZERO
        return abs(value - dec(self.wanted)) > dec(targets.rebalance_band)
