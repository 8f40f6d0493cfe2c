"""Patient maker.

Lays post-only buys in steps below the moving average and sells at the average: maker fees both ways, and a fill only
where the price comes to it. A fall that goes on fills every step, so a stop-loss stands below them.
"""


class PatientMaker(Strategy):
    length = Param(48, min=5, max=500)
    width = Param(0.004, min=0.0005, max=0.05, step=0.0005)
    n_steps = Param(3, min=1, max=5)
    patience = Param(12, min=1, max=200)

    def initialize(self):
        self.mean = self.indicator(ta.sma, "close", length=self.length)
        self.exit = None

    def on_data(self, data):
        if not self.mean.value > 0:  # NaN before its first value
            return
        size = self.get_position_size()
        if size > 0:
            self.leave(size, data.close)
        elif self.i_bar % self.patience == 0:
            self.lay_steps(data.close)

    def lay_steps(self, close):
        """The steps laid before have expired by now."""
        for step in range(1, self.n_steps + 1):
            price = self.mean.value * (1 - step * self.width)
            if price < close:
                ratio = 0.9 / self.n_steps
                self.buy(equity_ratio=ratio, limit=price, post_only=True, good_for_bars=self.patience)

    def leave(self, size, close):
        mean = self.mean.value
        if mean <= close:
            self.cancel_all()
            self.close_position()
        elif self.exit and self.exit.is_waiting:
            self.exit.modify(limit=mean, qty=self.exit.filled_qty + size)
        else:
            self.exit = self.sell(size, limit=mean, post_only=True, reduce_only=True)

    def on_fill(self, fill):
        if fill.side == "buy" and self.get_position_size() > 0:  # a stop may have closed it within the bar
            self.set_stop_loss(self.get_entry_price() * (1 - 2 * self.n_steps * self.width))
