"""The account of a sealed run: the draft's own kernels, over a table that is blank behind the bar revealed last."""

import numpy as np
from numpy.typing import NDArray

from backtests.engine.frames.table import Table
from backtests.engine.portfolio import Account
from backtests.engine.portfolio.market import COLUMNS
from backtests.engine.request import Feed, RunRequest


class SealedAccount(Account):
    """feed: symbols with their rules, without bars (frames.job.hide_bars)."""

    is_sealed = True

    def __init__(self, request: RunRequest, feed: Feed, table: Table) -> None:
        super().__init__(request, feed, table.market, table.shape.first_bar)
        self.table = table
        self._marks = [memoryview(row) for row in table.marks]  # which grow; with finer bars the base class copied

    def bar_columns(self, i_symbol: int = 0) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.bool_] | None]:
        columns = {name: getattr(self.table.columns, name)[i_symbol] for name in COLUMNS}
        return columns, self.table.fresh[i_symbol] if self.table.shape.has_holes[i_symbol] else None
