"""Breakout with a plan.

A stop order waits at the highest price of the last bars; its stop-loss and two targets come with it. One half leaves at
the first target, then the stop moves to the entry price. Many small losses, a few moves that go far.
"""


class BreakoutBracket(Strategy):
    length = Param(48, min=5, max=500)
    risk_atr = Param(2.0, min=0.5, max=10, step=0.5)
    equity_ratio = Param(0.5, min=0.05, max=1.0, step=0.05)

    def initialize(self):
        self.atr = self.indicator(ta.atr, "high", "low", "close", length=14)
        self.entry = None

    def on_data(self, data):
        highs = self.history(self.length, "high")
        if self.get_position_size() != 0 or len(highs) < self.length:
            return
        level, risk = highs.max(), self.risk_atr * self.atr.value
        if self.entry and self.entry.is_waiting and self.entry.stop != level:
            self.entry.cancel()
        if not (self.entry and self.entry.is_waiting) and 0 < level - data.close < risk < level:
            targets = [(0.5, level + risk), (0.5, level + 3 * risk)]
            self.entry = self.buy(
                equity_ratio=self.equity_ratio, stop=level, stop_loss=level - risk, take_profit=targets
            )

    def on_fill(self, fill):
        if fill.kind == "take_profit" and self.get_position_size() > 0:
            self.set_stop_loss(self.get_entry_price())
