"""RSI mean reversion.

Buys when the RSI says that the price has fallen too fast, and sells once it has recovered: a bet on the way back.
It gains a little often, and loses much when a fall goes on.
"""


class RsiMeanReversion(Strategy):
    length = Param(14, min=2, max=100)
    oversold = Param(30.0, min=5, max=45, step=5)
    exit_level = Param(55.0, min=45, max=90, step=5)
    max_bars = Param(96, min=1, max=2000)

    def initialize(self):
        self.rsi = self.indicator(ta.rsi, "close", length=self.length)
        self.entry_bar = 0

    def on_data(self, data):
        if self.get_position_size() == 0:
            if self.rsi.value < self.oversold and self.buy(equity_ratio=0.5):
                self.entry_bar = self.i_bar
        elif self.rsi.value > self.exit_level or self.i_bar - self.entry_bar >= self.max_bars:
            self.close_position()
