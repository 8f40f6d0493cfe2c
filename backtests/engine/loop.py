"""OPEN THIS FIRST: a run, bar by bar.

The order of events in a bar (docs/concepts/order-of-events.md gives the reasons):

1. Funding stamped at the open, on the position carried in            kernels/funding.py
   At every open: is a position due for liquidation?                  kernels/liquidation.py
2. Market orders that waited fill at the open                         kernels/matching.py
   Funding stamped inside the bar
3. The path from open to close, on one clock for all symbols          kernels/bars.py
4. Liquidation on that path, against the mark price                   kernels/liquidation.py
5. The strategy: hooks for what happened, then on_data; its orders    kernels/commands.py
   fill inside the call (`close`), or wait for the next open
6. The equity row                                                     kernels/equity.py

Steps 1 to 4 and 6 are kernels/play.py, shared with replay.py, so both give the same to the bit. Step 5 is this
file. What makes it fast: a compiled look-ahead finds the next bar in which anything can happen, and up to there
the loop only moves the cursor and calls on_data; the kernels catch up when the strategy acts or that bar comes.
"""

from time import perf_counter
from typing import Protocol

from backtests.engine.cursor import BarView
from backtests.engine.portfolio import Account, EventKind
from backtests.engine.portfolio.follower import Follower, TargetPlan
from backtests.engine.request import Feed, RunRequest
from backtests.engine.result import EngineResult

FEWEST_BARS, MOST_BARS = 64, 16_384  # of one look ahead
LOOK_S = 0.2  # the bars of one look ahead should take no longer, so that progress is told often enough


class Reporter(Protocol):
    """Where a run tells how far it is."""

    def progress(self, i_bar: int, n_bars: int, equity: float) -> None:
        """Called several times a second at most, and once at the end; i_bar counts bars done within the span."""
        ...


class BoundStrategy(Protocol):
    """A strategy as the loop sees it: a strategy.Session around the user's object, or made by hand in a test."""

    is_listening: bool  # whether any hook is overridden; read after bind
    plan: TargetPlan | None  # of a strategy with `targets`, which is then called no more; read after bind

    def bind(self, account: Account, reporter: Reporter | None = None) -> BarView:
        """Called once before the first bar (the cursor stands on the bar before it): keep the account, run
        `initialize`, and return the bar view that `on_data` is to be called with."""
        ...

    def on_data(self, data: BarView) -> None:
        """Called at the close of each bar. Fetched once after bind, so it may be the user's own bound method."""
        ...

    def on_event(self, kind: EventKind, i_row: int) -> None:
        """One call per event of the bar, in order, before on_data; again after it for what it did itself."""
        ...

    def on_finish(self) -> None:
        """Called once after the last bar, or after ruin. Orders made here raise OrderError."""
        ...


def run(strategy: BoundStrategy, request: RunRequest, feed: Feed, reporter: Reporter | None = None) -> EngineResult:
    """Drive the strategy over the span and return what it did. What the strategy raises goes through."""
    account = Account(request, feed)
    data = strategy.bind(account, reporter)
    account.open(is_listening=strategy.is_listening)
    pace = Pace(account, reporter)
    plan = strategy.plan
    if plan is None:
        call_bars(strategy, account, data, pace)
    else:
        follow_plan(plan, account, pace)
    account.close()
    deliver_events(strategy, account)
    strategy.on_finish()
    pace.tell(account.cursor.i_bar + 1)
    return account.result()


def follow_plan(plan: TargetPlan, account: Account, pace: "Pace") -> None:
    """A strategy with `targets` has said everything at the start: the kernels make its orders."""
    follower = Follower(account.simulation, plan)
    i_bar = account.first_bar
    while i_bar < account.n_bars and not account.is_ruined:
        i_bar = min(i_bar + pace.n_bars, account.n_bars)
        account.cursor.i_bar = follower.play(i_bar - 1)
        pace.look(i_bar, is_quiet=True)
    account.take_log(follower.commands)


def call_bars(strategy: BoundStrategy, account: Account, data: BarView, pace: "Pace") -> None:
    i_bar = account.first_bar
    while i_bar < account.n_bars and not account.is_ruined:
        i_to = min(i_bar + pace.n_bars, account.n_bars)
        i_event = account.find_next_event(i_bar, i_to)
        i_bar, has_acted = call_quiet_bars(strategy, account, data, i_bar, i_event)
        if not has_acted and i_event < i_to:
            call_event_bar(strategy, account, data, i_event)
            i_bar = i_event + 1
        pace.look(i_bar, is_quiet=i_bar == i_to and not has_acted)


def call_quiet_bars(
    strategy: BoundStrategy, account: Account, data: BarView, i_bar: int, i_event: int
) -> tuple[int, bool]:
    """Bars in which nothing can happen but what the strategy does. Stops after the bar at which it acts.

    Returns the next bar, and whether the strategy acted.
    """
    cursor, on_data = account.cursor, strategy.on_data
    for i in range(i_bar, i_event):
        cursor.i_bar = i
        on_data(data)
        if account.has_acted:
            deliver_events(strategy, account)
            account.has_acted = False
            return i + 1, True
    return i_event, False


def call_event_bar(strategy: BoundStrategy, account: Account, data: BarView, i_bar: int) -> None:
    """A bar in which something may happen: the kernels first, then the hooks, then the strategy."""
    account.cursor.i_bar = i_bar
    account.catch_up()
    deliver_events(strategy, account)
    if not account.is_ruined:
        strategy.on_data(data)
        deliver_events(strategy, account)
    account.has_acted = False


def deliver_events(strategy: BoundStrategy, account: Account) -> None:
    """Tell the hooks, and then what they caused themselves: their orders count as made at this close."""
    while account.is_listening and (events := account.take_events()):
        for kind, i_row in events:
            strategy.on_event(kind, i_row)


class Pace:
    """How many bars to look ahead: further while nothing happens, fewer when the strategy takes its time."""

    def __init__(self, account: Account, reporter: Reporter | None) -> None:
        self.n_bars = FEWEST_BARS
        self._account = account
        self._reporter = reporter
        self._looked_at = self._told_at = perf_counter()

    def look(self, i_bar: int, *, is_quiet: bool) -> None:
        now = perf_counter()
        took_s, self._looked_at = now - self._looked_at, now
        if took_s > LOOK_S:
            self.n_bars = max(self.n_bars // 2, 1)
        elif not is_quiet:
            self.n_bars = min(self.n_bars, FEWEST_BARS)
        elif took_s < LOOK_S / 2:
            self.n_bars = min(self.n_bars * 2, MOST_BARS)
        if now - self._told_at > LOOK_S:
            self._told_at = now
            self.tell(i_bar)

    def tell(self, i_bar: int) -> None:
        account = self._account
        if self._reporter is not None:
            first = account.first_bar
            self._reporter.progress(i_bar - first, account.n_bars - first, account.margin_balance)
