"""Rows of record by hand, for tests of what reads them."""

import numpy as np

from backtests.engine.kernels.types import EQUITY, FILL, FUNDING, LIQUIDATION, ORDER, TRADE
from backtests.engine.request import Bars, RunRequest
from backtests.engine.result import EngineResult

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
START_MS = 1_735_689_600_000  # 2025-01-01


def request_of(n_bars, timeframe="1h", from_ms=START_MS, **more):
    step = {"1h": HOUR_MS, "1d": DAY_MS, "5m": 300_000, "1m": 60_000}[timeframe]
    base = {
        "market": "usdm",
        "symbol": "BTCUSDT",
        "timeframe": timeframe,
        "from": from_ms,
        "to": from_ms + n_bars * step,
    }
    return RunRequest.parse({**base, **more})


def bars_of(closes, request):
    closes = np.asarray(closes, float)
    opens = np.concatenate(([closes[0]], closes[:-1]))
    open_ms = request.from_ms + request.timeframe_ms * np.arange(len(closes), dtype=np.int64)
    high, low = np.maximum(opens, closes) * 1.001, np.minimum(opens, closes) * 0.999
    return Bars(open_ms, opens, high, low, closes, np.ones(len(closes)))


def trade_rows_of(pnls, leverage=1.0, side=1, is_open=()):
    trades = np.zeros(len(pnls), TRADE)
    trades["trade_id"] = np.arange(len(pnls))
    trades["pnl"] = trades["gross_pnl"] = pnls
    trades["leverage"] = leverage
    trades["side"] = side
    trades["i_bar_entry"] = np.arange(len(pnls))
    trades["i_bar_exit"] = np.arange(len(pnls)) + 1
    trades["entry_ms"] = START_MS + trades["i_bar_entry"] * HOUR_MS
    trades["exit_ms"] = START_MS + trades["i_bar_exit"] * HOUR_MS
    trades["entry_price"], trades["exit_price"], trades["qty"] = 100.0, 101.0, 1.0
    trades["initial_margin"] = 100.0
    trades["exit_reason"], trades["i_tag"] = 1, -1
    for i in is_open:
        trades["i_bar_exit"][i] = trades["exit_ms"][i] = -1
        trades["exit_reason"][i] = 0
    return trades


def result_of(equity, request, *, trades=None, is_ruined=False, initial=None, **tables):
    equity = np.asarray(equity, float)
    rows = np.zeros(len(equity), EQUITY)
    rows["time_ms"] = request.from_ms + request.timeframe_ms * np.arange(1, len(equity) + 1)
    rows["margin_balance"] = rows["wallet_balance"] = equity
    empty = {
        "orders": np.zeros(0, ORDER),
        "fills": np.zeros(0, FILL),
        "funding": np.zeros(0, FUNDING),
        "liquidations": np.zeros(0, LIQUIDATION),
    }
    return EngineResult(
        **{**empty, **tables},
        trades=trade_rows_of([]) if trades is None else trades,
        equity=rows,
        tags=(),
        initial_balance=request.initial_balance if initial is None else initial,
        is_ruined=is_ruined,
        n_bars=len(equity),
        first_bar=0,
    )
