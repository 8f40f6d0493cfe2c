"""Builders of rows for tests."""

import datetime as dt
import uuid

import numpy as np
from django.utils import timezone

from backtests.engine.request import RunRequest
from backtests.models import BacktestRun
from marketdata.arrays import CandleArrays
from marketdata.home import candle_store
from marketdata.instruments import load_instruments
from marketdata.models import Instrument, Segment, Series
from marketdata.timeframes import TIMEFRAME_MS
from strategies.models import Strategy, StrategyVersion

BUY_ONCE = """\
from hindsight import Strategy


class BuyOnce(Strategy):
    def initialize(self):
        pass

    def on_data(self, bar):
        if self.get_position_size() == 0:
            self.buy(notional=100)
"""


def build_version(owner, source=BUY_ONCE, name="Buy once", param_schema=()):
    """The first version of a new strategy of `owner`, as it would be after a save."""
    strategy, _ = Strategy.objects.get_or_create(owner=owner, name=name)
    number = strategy.versions.count() + 1
    return StrategyVersion.objects.create(
        strategy=strategy, number=number, source=source, param_schema=list(param_schema)
    )


def build_run(owner, status="queued", version=None, **fields):
    """A run of the January of 2025; in any status but running, which only a claim makes."""
    ends = {
        "queued": {},
        "succeeded": {"result_hash": "f" * 64, "artifact_dir": f"{uuid.uuid4()}/1-{uuid.uuid4()}"},
        "failed": {"failure_code": "strategy_error", "failure": {"message": "division by zero"}},
        "cancelled": {"cancel_requested": True},
    }[status]
    request = RunRequest.parse(
        {"market": "usdm", "symbol": "BTCUSDT", "timeframe": "1h", "from": "2025-01-01", "to": "2025-02-01"}
    )
    values = {
        "owner": owner,
        "strategy_version": version or build_version(owner),
        "request": request.to_json(),
        "market": "usdm",
        "symbol": "BTCUSDT",
        "timeframe": "1h",
        "from_ms": request.from_ms,
        "to_ms": request.to_ms,
        "status": status,
        "finished_at": None if status == "queued" else timezone.now(),
        **ends,
        **fields,
    }
    return BacktestRun.objects.create(**values)


def build_candles(
    symbol="BTCUSDT", market="usdm", timeframe="1h", first_day=dt.date(2025, 1, 1), n_bars=24 * 31, missing=()
):
    """A stored series: a random walk of `n_bars` candles of one month, the same each time, but for those missing."""
    load_instruments()
    step_ms = TIMEFRAME_MS[timeframe]
    first_ms = int(dt.datetime(first_day.year, first_day.month, first_day.day, tzinfo=dt.UTC).timestamp() * 1000)
    random = np.random.default_rng(7)
    close = 50_000 * np.exp(np.cumsum(random.normal(0, 0.002, n_bars)))
    open_ = np.concatenate(([50_000.0], close[:-1]))
    volume = np.full(n_bars, 10.0)
    candles = CandleArrays(
        open_ms=first_ms + step_ms * np.arange(n_bars, dtype=np.int64),
        open=open_,
        high=np.maximum(open_, close) * 1.001,
        low=np.minimum(open_, close) * 0.999,
        close=close,
        volume=volume,
        quote_volume=volume * close,
        n_trades=np.full(n_bars, 100, dtype=np.int64),
        taker_buy_volume=volume / 2,
    )
    candles = candles.take(np.delete(np.arange(n_bars), missing)) if len(missing) else candles
    ref = candle_store().publish(candles)
    instrument = Instrument.objects.get(market=market, symbol=symbol)
    series, _ = Series.objects.get_or_create(instrument=instrument, timeframe=timeframe)
    Segment.objects.create(
        series=series,
        month=first_day.replace(day=1),
        sha256=ref.sha256,
        n_rows=ref.n_rows,
        first_ms=ref.first_ms,
        last_ms=ref.last_ms,
        n_bytes=1,
    )
    return series
