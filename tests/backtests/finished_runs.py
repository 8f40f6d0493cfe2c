"""A succeeded run with real result files, its rows made by hand: long and short in turn over the held candles."""

import numpy as np

from backtests import artifacts
from backtests.engine.kernels.types import EQUITY, FILL, FUNDING, LIQUIDATION, ORDER, TRADE
from backtests.engine.request import RunRequest
from backtests.engine.result import EngineResult
from backtests.models import BacktestRun
from backtests.reports import build_report
from backtests.run_report import LogLine, StrategyFacts
from backtests.runner.feed import build_feed
from backtests.runner.outcome import IndicatorSeries, PlotSeries, RunOutcome
from marketdata.services import candle_store, resolve_run_data
from tests.builders import build_version

FEE = 0.0004
JANUARY = {"market": "usdm", "symbol": "BTCUSDT", "timeframe": "1h", "from": "2025-01-01", "to": "2025-02-01"}


def play_by_hand(bars, request, n_trades, *, n_rejected=2, is_ruined=False, n_ambiguous=0):
    """Rows of n_trades round trips of equal length, one unit of the balance each; the first ones ambiguous."""
    n = len(bars)
    edges = np.linspace(1, n - 2, n_trades + 1).astype(int) if n_trades else np.array([1])
    trades, fills = np.zeros(n_trades, TRADE), np.zeros(2 * n_trades, FILL)
    orders = np.zeros(2 * n_trades + n_rejected, ORDER)
    equity, position = np.full(n, request.initial_balance), np.zeros(n)
    wallet = request.initial_balance
    close_ms = bars.open_ms + request.timeframe_ms
    for i in range(n_trades):
        first, last, side = edges[i], edges[i + 1], 1 if i % 2 == 0 else -1
        entry, exit_price = bars.close[first], bars.close[last]
        qty = 0.95 * wallet / entry
        fees = FEE * qty * (entry + exit_price)
        gross = side * qty * (exit_price - entry)
        path = side * qty * (bars.close[first : last + 1] - entry)
        equity[first : last + 1] = wallet + path - FEE * qty * entry
        position[first:last] = side * qty
        wallet += gross - fees
        equity[last:] = wallet
        _fill_row(
            trades[i], trade_id=i, side=side, i_bar_entry=first, i_bar_exit=last, entry_ms=close_ms[first],
            exit_ms=close_ms[last], qty=qty, entry_price=entry, exit_price=exit_price, leverage=request.leverage,
            initial_margin=qty * entry / request.leverage, gross_pnl=gross, fees=fees, pnl=gross - fees,
            mae=min(path.min(), 0), mfe=max(path.max(), 0), n_fills=2, exit_reason=1, i_tag=0 if i % 3 == 0 else -1,
        )  # fmt: skip
        for j, (bar, price, direction) in enumerate(((first, entry, side), (last, exit_price, -side))):
            k = 2 * i + j
            _fill_row(
                fills[k], fill_id=k, order_id=k, trade_id=i, i_bar=bar, time_ms=close_ms[bar], side=direction, kind=1,
                qty=qty, price=price, fee=fees / 2,
            )  # fmt: skip
            _fill_order(orders[k], k, bar, close_ms[bar], direction, qty, 3, 0)
    for j in range(n_rejected):
        k = 2 * n_trades + j
        _fill_order(orders[k], k, n - 1, close_ms[-1], 1, 0.0001, 5, 2)
    trades["is_ambiguous"][:n_ambiguous] = True
    rows = np.zeros(n, EQUITY)
    rows["time_ms"], rows["margin_balance"], rows["wallet_balance"] = close_ms, equity, equity
    rows["position_qty"], rows["exposure"] = position, position * bars.close / equity
    return EngineResult(
        orders=orders, fills=fills, trades=trades, equity=rows, funding=np.zeros(0, FUNDING),
        liquidations=np.zeros(0, LIQUIDATION), tags=("cross",), initial_balance=request.initial_balance,
        is_ruined=is_ruined, n_bars=n, first_bar=0, counters={"no_trade_bars": 0, "ambiguous_bars": n_ambiguous},
    )  # fmt: skip


def _fill_row(row, **values):
    for name, value in values.items():
        row[name] = value


def _fill_order(row, order_id, bar, time_ms, side, qty, status, reason):
    nan = float("nan")
    _fill_row(
        row, order_id=order_id, parent_id=-1, i_bar=bar, time_ms=time_ms, side=side, kind=1, size_kind=3, size=0.95,
        qty=qty, limit_price=nan, stop_price=nan, leverage=1.0, status=status, reason=reason,
        filled_qty=qty if status == 3 else 0.0, average_price=nan, i_bar_done=bar,
    )  # fmt: skip


def build_outcome(feed, request, n_trades, **more):
    bars = feed.symbols[0].bars
    result = play_by_hand(bars, request, n_trades, **more)
    average = np.convolve(bars.close, np.ones(20) / 20)[: len(bars)]
    average[:19] = np.nan
    times = bars.open_ms[::24] + request.timeframe_ms
    return RunOutcome(
        status="succeeded",
        result=result,
        log=(LogLine("info", 0, "ready"), LogLine("warning", int(times[1]), "a warning & <b>markup</b>")),
        plots=(PlotSeries("daily close", "mine", times, bars.close[::24].copy()),),
        indicators=(IndicatorSeries("sma(20)", "price", average.astype(np.float32)),),
        jail_level="none",
        timings={"total": 1.5},
    )


def build_finished_run(owner, *, n_trades=20, version=None, **wanted):
    """Candles must be held already (tests.builders.build_candles)."""
    more = {name: wanted.pop(name) for name in ("n_rejected", "is_ruined", "n_ambiguous") if name in wanted}
    request = RunRequest.parse({**JANUARY, **wanted})
    run_data = resolve_run_data(
        request.market, request.symbols, request.timeframe, request.from_ms, request.to_ms, 0, funding=request.funding
    )
    feed = build_feed(run_data, request, candle_store())
    version = version or build_version(owner)
    run = BacktestRun.objects.create(
        owner=owner, strategy_version=version, request=request.to_json(), run_data=run_data.to_json(),
        market=request.market, symbol=request.symbol, timeframe=request.timeframe, from_ms=request.from_ms,
        to_ms=request.to_ms, data_revision=run_data.data_revision,
    )  # fmt: skip
    outcome = build_outcome(feed, request, n_trades, **more)
    strategy = StrategyFacts(version.strategy.name, version.source, version.sha256, version.number)
    report = build_report(outcome, request, run_data, feed, strategy=strategy)
    claimed = BacktestRun.objects.claim(run.pk)
    folder = artifacts.save(run.pk, 1, claimed.token, tables=report.tables, facts=report.to_facts())
    assert claimed.finish(
        artifact_dir=folder,
        result_hash=report.result_hash,
        summary=report.summary(),
        is_ruined=report.is_ruined,
        jail_level="none",
    )
    run.refresh_from_db()
    return run
