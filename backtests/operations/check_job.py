"""What a version is checked on: its defaults, on candles that everybody may see, or on made-up ones."""

import datetime as dt
import re
from dataclasses import replace
from typing import Any

from django.conf import settings

from accounts.quotas import Limits, limits_of
from backtests.engine.errors import DataError
from backtests.engine.request import Feed, RunRequest
from backtests.runner.check_feed import make_check_feed
from backtests.runner.feed import build_feed
from backtests.runner.outcome import RunJob
from marketdata.home import candle_store
from marketdata.models import Series, SeriesKind
from marketdata.services import DataUnavailable, catalogue, offered_timeframes, resolve_run_data
from marketdata.synthetic import SAMPLE_MONTH
from strategies.models import StrategyVersion
from strategies.params import read_warmup_bars, resolve_params

N_BARS = 2_000
TIMEFRAME, BAR_MS = "15m", 900_000
SYMBOL = "BTCUSDT"
MAX_SYMBOLS = 4
WALL_CLOCK_S = 20  # of each run of the check
MAX_ORDERS = 20_000
MAX_WARMUP_BARS = 900  # of the made-up candles, which are one month
_NAMED_SYMBOL = re.compile(r"""["']([A-Z0-9]{2,12}(?:USDT|USDC))["']""")


def build_check_job(version: StrategyVersion) -> tuple[RunJob, str]:
    """The job of the whole span, and what it is made on in words."""
    named = dict.fromkeys([SYMBOL, *_NAMED_SYMBOL.findall(version.source)])
    raw: dict[str, Any] = {
        "market": "usdm",
        "symbols": list(named)[:MAX_SYMBOLS],
        "timeframe": TIMEFRAME,
        "params": resolve_params(version.param_schema, {}),
        "warmup_bars": read_warmup_bars(version.source),
    }
    request, feed, words = _find_held(raw) or _make_up(raw)
    limits = _tighten(limits_of(version.strategy.owner))
    return RunJob(request, version.source, feed, limits, settings.KERNEL_CACHE), words


def _find_held(raw: dict[str, Any]) -> tuple[RunRequest, Feed, str] | None:
    """The newest candles of the exchange that cover the span; None where there are too few."""
    shared = Series.objects.shared().filter(kind=SeriesKind.TRADE, instrument__market="usdm")
    held = catalogue(shared.filter(instrument__symbol__in=raw["symbols"]))
    ends = {s.symbol: s.end_ms for s in offered_timeframes(held) if s.timeframe == TIMEFRAME and not s.is_synthetic}
    if len(ends) < len(raw["symbols"]):
        return None
    to_ms = min(ends.values()) // BAR_MS * BAR_MS
    request = RunRequest.parse({**raw, "from": to_ms - N_BARS * BAR_MS, "to": to_ms})
    span = (request.from_ms, request.to_ms, request.warmup_bars)
    try:
        run_data = resolve_run_data(request.market, request.symbols, TIMEFRAME, *span)
        feed = build_feed(run_data, request, candle_store())
    except (DataUnavailable, DataError):
        return None
    return request, feed, f"{_say_span(request)}, candles of the exchange"


def _make_up(raw: dict[str, Any]) -> tuple[RunRequest, Feed, str]:
    warmup_bars = min(raw["warmup_bars"], MAX_WARMUP_BARS)
    first = dt.datetime(SAMPLE_MONTH.year, SAMPLE_MONTH.month, SAMPLE_MONTH.day, tzinfo=dt.UTC)
    from_ms = round(first.timestamp() * 1000) + warmup_bars * BAR_MS
    request = RunRequest.parse({**raw, "warmup_bars": warmup_bars, "from": from_ms, "to": from_ms + N_BARS * BAR_MS})
    return request, make_check_feed(request), f"{_say_span(request)}, made-up candles"


def _say_span(request: RunRequest) -> str:
    first, last = (dt.datetime.fromtimestamp(ms / 1000, dt.UTC) for ms in (request.from_ms, request.to_ms))
    return f"{', '.join(request.symbols)} {TIMEFRAME}, {first:%Y-%m-%d} to {last:%Y-%m-%d}"


def _tighten(limits: Limits) -> Limits:
    return replace(
        limits,
        run_wall_clock_s=min(limits.run_wall_clock_s, WALL_CLOCK_S),
        max_orders=min(limits.max_orders, MAX_ORDERS),
    )
