"""SMA crossover.

Goes long when the fast moving average crosses above the slow one, and out when it crosses back below: a trend
follower. It wins in long moves and pays fees while the price goes sideways.
"""


class SmaCross(Strategy):
    fast = Param(20, min=5, max=100, step=5)
    slow = Param(50, min=20, max=300, step=10)

    def initialize(self):
        self.fast_sma = self.indicator(ta.sma, "close", length=self.fast)
        self.slow_sma = self.indicator(ta.sma, "close", length=self.slow)

    def on_data(self, data):
        if crossed_above(self.fast_sma, self.slow_sma):
            self.buy(equity_ratio=0.95)
        elif crossed_below(self.fast_sma, self.slow_sma):
            self.close_position()
