"""Leveraged momentum.

A warning: it follows the last move with 75x leverage and no way out. On futures ordinary noise is enough to liquidate
it. Read its liquidations, not its return.
"""


class LeveragedMomentum(Strategy):
    lookback = Param(12, min=2, max=200)
    threshold = Param(0.008, min=0.0005, max=0.05, step=0.0005)
    leverage = Param(75, min=1, max=125)

    def initialize(self):
        self.n_liquidations = 0

    def on_data(self, data):
        closes = self.history(self.lookback + 1, "close")
        if len(closes) <= self.lookback:
            return
        change = closes[-1] / closes[0] - 1
        size = self.get_position_size()
        if change > self.threshold and size <= 0:
            self.enter(self.buy, size)
        elif change < -self.threshold and size >= 0:
            self.enter(self.sell, size)

    def enter(self, buy_or_sell, size):
        if size != 0:
            self.close_position()
        buy_or_sell(equity_ratio=0.1, leverage=self.leverage)

    def on_liquidation(self, trade):
        self.n_liquidations += 1
        self.log(f"Liquidation {self.n_liquidations}: equity is {self.get_equity():.2f}")
