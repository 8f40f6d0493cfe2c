"""A small stage for strategies: bars from a list of closes, and a run of a source over them."""

import textwrap

import numpy as np

from backtests.engine.frames import SilentReporter
from backtests.engine.loop import run
from backtests.engine.request import Bars, Feed, Instrument, MarginTier, RunRequest, SymbolFeed
from backtests.engine.strategy import Session, load_strategy

HOUR_MS = 3_600_000
START_MS = 1_735_689_600_000  # Wednesday, 2025-01-01 00:00 UTC
TIERS = (MarginTier(0.0, 1e12, 0.004, 125.0, 0.0),)


class NotingReporter(SilentReporter):
    """Keeps what is reported."""

    def __init__(self):
        self.lines, self.points, self.drawn = [], [], {}

    def log(self, level, i_bar, text):
        self.lines.append((level, i_bar, text))

    def plot(self, name, pane, i_bar, value):
        self.points.append((name, pane, i_bar, value))

    def indicator(self, name, pane, values):
        self.drawn[name] = (pane, values)

    @property
    def texts(self):
        return [text for _, _, text in self.lines]


def make_bars(closes, *, step_ms=HOUR_MS, start_ms=START_MS, skip=(), volume=10.0):
    """Bars that open at the close before; `skip` leaves out bars by index."""
    closes = np.array(closes, float)
    opens = np.append(closes[:1], closes[:-1])
    keep = np.array([i not in skip for i in range(len(closes))])
    return Bars(
        (start_ms + step_ms * np.arange(len(closes), dtype=np.int64))[keep],
        opens[keep],
        (np.maximum(opens, closes) + 1)[keep],
        (np.minimum(opens, closes) - 1)[keep],
        closes[keep],
        np.full(int(keep.sum()), volume),
    )


def make_feed(*bars, market="usdm"):
    tiers = TIERS if market == "usdm" else ()
    names = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    return Feed(
        tuple(SymbolFeed(Instrument(name, tiers=tiers), symbol) for name, symbol in zip(names, bars, strict=False))
    )


def make_request(feed, *, timeframe="1h", warmup_bars=0, **fields):
    first = min(int(symbol.bars.open_ms[0]) for symbol in feed.symbols)
    last = max(int(symbol.bars.open_ms[-1]) for symbol in feed.symbols)
    step_ms = RunRequest.parse(
        {"market": "usdm", "symbol": "BTCUSDT", "timeframe": timeframe, "from": 1, "to": 2}
    ).timeframe_ms
    raw = {
        "market": "usdm",
        "symbols": [symbol.instrument.symbol for symbol in feed.symbols],
        "timeframe": timeframe,
        "from": first + warmup_bars * step_ms,
        "to": last + step_ms,
        "warmup_bars": warmup_bars,
    }
    return RunRequest.parse({**raw, **fields})


def play(body, closes=(100, 101, 102, 103, 104, 105), *, feed=None, params=None, source=None, **fields):
    """Run a strategy whose class body is given. Returns (session, result, reporter)."""
    feed = feed or make_feed(make_bars(closes))
    request = make_request(feed, **fields)
    text = source or "class Mine(Strategy):\n" + textwrap.indent(textwrap.dedent(body), "    ")
    reporter = NotingReporter()
    session = Session(load_strategy(text, params or {}), reporter)
    return session, run(session, request, feed, reporter), reporter


def seen(body, *args, **kwargs):
    """What the strategy appended to self.seen."""
    body = (
        "def initialize(self):\n    self.seen = []\n" + textwrap.dedent(body) if "def initialize" not in body else body
    )
    return play(body, *args, **kwargs)[0].strategy.seen
