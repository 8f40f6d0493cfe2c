"""A slow, obvious, independent account in Decimal: what the engine must compute, written down once more.

It shares no code with the kernels, looks ahead nowhere, steps over every bar, finds liquidations by halving an
interval, and learns whether a bar is ambiguous by walking a copy of itself the other way. Only the codes (reasons,
order kinds) come from the engine. This file is the order of events; the rules lie in the oracle_*.py files.
"""

import copy
from collections import Counter
from decimal import ROUND_FLOOR

from backtests.engine.errors import OrderError
from backtests.engine.kernels.types import OrderKind, OrderStatus, Reason
from tests.engine.oracle_calls import OracleCalls
from tests.engine.oracle_fills import OracleFills
from tests.engine.oracle_margin import Holding, OracleMargin
from tests.engine.oracle_market import ZERO, OracleMarket, dec
from tests.engine.oracle_orders import TINY, OracleOrders
from tests.engine.oracle_path import knots_between, price_at, reach, reach_trailing

STOPS = (OrderKind.STOP, OrderKind.STOP_LOSS, OrderKind.TRAILING_STOP)
END = 3


class Oracle(OracleMarket, OracleMargin, OracleOrders, OracleFills, OracleCalls):
    """Plays commands, {i_step: [(name, fields), ...]}, over a feed. Then orders, fills, trades, ... are lists."""

    def __init__(self, request, feed):
        self.request, self.feed = request, feed
        self.is_spot = request.market == "spot"
        self.is_cross = request.margin_mode == "cross"
        self._lay_market()
        self.first = next(i for i, t in enumerate(self.steps) if t >= request.from_ms)
        self.stamps = {} if self.is_spot or not request.funding else self._lay_stamps()
        self.wallet = dec(request.initial_balance)
        self.slippage = dec(request.slippage_bps) / 10_000
        self.taker_fee, self.maker_fee = dec(request.taker_fee), dec(request.maker_fee)
        self.holdings = [Holding() for _ in feed.symbols]
        self.orders, self.fills, self.trades, self.funding = [], [], [], []
        self.liquidations, self.equity, self.waiting = [], [], []
        self.n_ambiguous = 0
        self.is_ruined = False
        self.i = self.j = self.time = 0  # the step, the finest bar, when what happens now happens
        self.clock = ZERO  # on the path
        self.room = [None] * len(feed.symbols)  # what the participation cap leaves in this finest bar

    # The run: the order of events.
    def play(self, script):
        for i_step in range(self.first, len(self.steps)):
            self.i = i_step
            for j in self.fines[i_step]:
                self._play_bar(j)
            self.is_ruined = self.is_ruined or self.margin_balance <= 0
            self.time = self.steps[self.i] + self.step_ms
            fines = self.fines[self.i]
            self.is_traded_step = [any(q[j] and q[j].is_traded for j in fines) for q in self.last]
            self._expire()
            for name, fields in () if self.is_ruined else self._calls(script):
                self._call(name, fields)
            self._write_equity()
            if self.is_ruined:
                break
        status, reason = OrderStatus.EXPIRED, Reason.END_OF_DATA
        if self.is_ruined:
            status, reason = OrderStatus.CANCELLED, Reason.RUINED
        for order in list(self.waiting):
            self._drop(order, status, reason)
        return self

    def _calls(self, script):
        return script.get(self.i, ())

    def _call(self, name, fields):
        try:
            getattr(self, name)(**fields)
        except OrderError:
            return
        self.is_ruined = self.is_ruined or self.margin_balance <= 0

    def _expire(self):
        for order in list(self.waiting):
            if order.good_for_bars and self.i >= order.i_bar + order.good_for_bars and order in self.waiting:
                self._end(order, OrderStatus.EXPIRED, Reason.GOOD_FOR_BARS)

    def _play_bar(self, j):
        self.j, self.time = j, self.times[j]
        self.room = [self._capacity(i) for i in range(len(self.holdings))]
        self._set_marks("open")
        self.charge_funding(is_late=False)
        self.liquidate_if_due()
        for order in sorted(self.waiting, key=lambda order: order.order_id):
            if order in self.waiting and order.stage == "open" and self._is_traded(order.i_symbol):
                self._at_open(order, self.last[order.i_symbol][self.j].open)
        self.charge_funding(is_late=True)
        if self.held or self.waiting:
            self._walk_both_ways([self._is_low_first(i) for i in range(len(self.holdings))])
        self._set_marks("close")

    def _at_open(self, order, price):
        if order.is_limit_now and not self._is_marketable(order, price):
            order.stage = "rests"
        elif order.is_limit_now and order.is_post_only:
            self._refuse(order, Reason.WOULD_TAKE)
        else:
            self._fill(order, price)

    def _capacity(self, i):
        """The quantity that may fill in this finest bar; None: no cap."""
        quote, cap = self.last[i][self.j], self.request.participation_cap
        if cap is None:
            return None
        if quote is None:
            return ZERO
        step = dec(self.feed.symbols[i].instrument.step_size)
        return (dec(cap) * quote.volume / step + TINY).to_integral_value(ROUND_FLOOR) * step

    def _is_traded(self, i):
        quote = self.last[i][self.j]
        return quote is not None and quote.is_traded

    def _set_marks(self, name):
        for holding, plane in zip(self.holdings, self.mark, strict=True):
            if plane[self.j] is not None:
                holding.mark = getattr(plane[self.j], name)
                holding.note()

    # The path inside a finest bar.
    def _is_low_first(self, i):
        if self.holdings[i].qty:
            return (self.holdings[i].side > 0) == (self.request.path == "pessimistic")
        quote = self.last[i][self.j]
        if quote is None:
            return True
        up, down = quote.high - quote.open, quote.open - quote.low
        return down < up or (down == up and quote.close >= quote.open)

    def _walk_both_ways(self, is_low_first):
        """Walk; note whether a copy that takes the extremes in the other order fills anything else."""
        other, n_fills, n_trades = self._copy(), len(self.fills), len(self.trades)
        self._walk(is_low_first)
        other._walk([not first for first in is_low_first])
        ours, theirs = self.fills[n_fills:], other.fills
        if self._summary(ours) != self._summary(theirs):
            self.n_ambiguous += 1
            known = {fill["trade_id"] for fill in theirs if fill["trade_id"] < n_trades}
            for i in known | {fill["trade_id"] for fill in ours}:
                self.trades[i]["is_ambiguous"] = True

    def _copy(self):
        """What waits and what is held, to be changed apart; what is done is shared."""
        other = copy.copy(self)
        twins = {order.order_id: copy.copy(order) for order in self.waiting}
        other.orders = [twins.get(order.order_id, order) for order in self.orders]
        other.waiting = [twins[order.order_id] for order in self.waiting]
        other.holdings = [copy.copy(holding) for holding in self.holdings]
        for holding in other.holdings:
            holding.trade = dict(holding.trade)
        other.room, other.trades = list(self.room), list(self.trades)
        other.fills, other.liquidations = [], []
        return other

    @staticmethod
    def _summary(fills):
        """Fills but for their order: which order, how much, at which price."""
        names = ("order_id", "i_symbol", "side")
        return Counter((*(fill[n] for n in names), f"{fill['qty']:.12e}", f"{fill['price']:.12e}") for fill in fills)

    def _walk(self, is_low_first):
        self.ways = [self._way(plane, first) for plane, first in zip(self.last, is_low_first, strict=True)]
        self.mark_ways = [self._way(plane, first) for plane, first in zip(self.mark, is_low_first, strict=True)]
        self.clock = ZERO
        while events := self._events():
            (clock, *_), act = min(events, key=lambda event: event[0])
            self._go_to(clock)
            act()
        self._go_to(END)

    def _way(self, plane, is_low_first):
        quote = plane[self.j]
        if quote is None:
            return None
        first, second = (quote.low, quote.high) if is_low_first else (quote.high, quote.low)
        return [quote.open, first, second, quote.close]

    def _go_to(self, clock):
        """Everyone sees the way up to a clock."""
        stops = [*knots_between(self.clock, clock), clock]
        for holding, way in zip(self.holdings, self.mark_ways, strict=True):
            for stop in stops if way else ():
                holding.mark = price_at(way, stop)
                holding.note()
        for order in self.waiting:
            if order.kind == OrderKind.TRAILING_STOP and self._is_live(order):
                prices = [price_at(self.ways[order.i_symbol], stop) for stop in (self.clock, *stops)]
                order.best = min(order.best, *prices) if order.side > 0 else max(order.best, *prices)
        self.clock = clock

    def _events(self):
        """[((clock, symbol, class, order id), what happens), ...]: the next one of each order and each liquidation."""
        events = []
        if self.is_cross and not self.is_spot:
            clock = self.cross_due(self.mark_ways, self.clock)
            events += [((clock, -1, 0, -1), self.liquidate_all)] if clock is not None else []
        elif not self.is_spot:
            for i in self.held:
                due = self.isolated_due(i, self.mark_ways[i], self.clock)
                if due:
                    events.append(((due[0], i, 0, -1), lambda i=i, price=due[1]: self.liquidate(i, price)))
        for order in self.waiting:
            hit = self._reach(order) if self._is_live(order) else None
            if hit:
                key = (hit[0], order.i_symbol, self._class_of(order), order.order_id)
                events.append((key, lambda order=order, price=hit[1]: self._happen(order, price)))
        return events

    def _is_live(self, order):
        return order.stage == "rests" and self._is_traded(order.i_symbol) and order.blocked_at != self.j

    @staticmethod
    def _class_of(order):
        if order.is_limit_now:
            return 3
        return 2 if order.kind == OrderKind.TAKE_PROFIT else 1

    def _reach(self, order):
        """(clock, reference price) of what the order waits for."""
        way = self.ways[order.i_symbol]
        if order.kind == OrderKind.TRAILING_STOP:
            return reach_trailing(way, self.clock, order.best, lambda best: self.trail(order, best), order.trigger)
        if not order.is_limit_now:
            return reach(way, self.clock, order.stop_price, order.trigger)
        is_through = self.request.limit_fill == "through"
        hit = reach(way, self.clock, order.limit_price, -order.side, is_through=is_through)
        return hit and (hit[0], order.limit_price)

    def trail(self, order, best):
        """The level of a trailing stop."""
        return self._to_tick(order.i_symbol, best * (1 + order.side * order.trailing_ratio), order.side)

    def _happen(self, order, price):
        if order.is_limit_now:
            return self._fill(order, price, is_maker=True)
        order.is_triggered = True
        if order.kind == OrderKind.STOP_LIMIT and not self._is_marketable(order, price):
            return None
        if order.kind == OrderKind.STOP_LIMIT and order.is_post_only:
            return self._refuse(order, Reason.WOULD_TAKE)
        return self._fill(order, price)

    def _write_equity(self):
        for holding, plane in zip(self.holdings, self.mark, strict=True):
            holding.mark = plane[self.j].close if plane[self.j] else holding.mark
        balance = self.margin_balance
        notional = sum((h.qty * h.mark for h in self.holdings if h.qty), ZERO)
        self.equity.append(
            {
                "time_ms": self.time,
                "wallet_balance": self.wallet,
                "unrealised_pnl": sum((h.pnl for h in self.holdings), ZERO),
                "margin_balance": balance,
                "position_qty": self.holdings[0].qty,
                "exposure": notional / balance if balance > 0 else ZERO,
                "margin_ratio": self.margin_ratio,
            }
        )
