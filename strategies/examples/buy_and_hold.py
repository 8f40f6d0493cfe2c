"""Buy and hold.

Buys once with almost everything on the first bar and keeps it. Any cleverer strategy should beat this one.
"""


class BuyAndHold(Strategy):
    equity_ratio = Param(0.98, min=0.05, max=1.0, step=0.05)

    def initialize(self):
        self.has_bought = False

    def on_data(self, data):
        if not self.has_bought:
            order = self.buy(equity_ratio=self.equity_ratio)
            self.has_bought = bool(order)
