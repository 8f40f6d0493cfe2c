"""A slow, obvious, independent account in Decimal: what the engine must compute, written down once more.

It shares no code with the kernels, looks ahead nowhere, steps over every bar, and finds liquidation prices by halving
an interval. Only the codes (reasons, order kinds) come from the engine.
"""

from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from backtests.engine.kernels.types import ExitReason, OrderKind, OrderStatus, Reason, SizeKind
from tests.engine.oracle_margin import OracleMargin
from tests.engine.oracle_market import ZERO, OracleMarket, dec, first_touch
from tests.engine.oracle_orders import OracleOrders


@dataclass
class Holding:
    qty: Decimal = ZERO  # signed
    entry: Decimal = ZERO
    margin: Decimal = ZERO
    wallet: Decimal = ZERO
    mark: Decimal = ZERO
    trade: dict = field(default_factory=dict)

    @property
    def side(self):
        return (self.qty > 0) - (self.qty < 0)

    @property
    def pnl(self):
        return self.qty * (self.mark - self.entry) if self.qty else ZERO


class Oracle(OracleMarket, OracleMargin, OracleOrders):
    """Plays commands, {i_step: [(name, fields), ...]}, over a feed. Then fills, trades, ... are lists of dicts."""

    def __init__(self, request, feed):
        self.request, self.feed = request, feed
        self.is_spot = request.market == "spot"
        self.times = sorted({int(t) for s in feed.symbols for t in s.bars.open_ms if t < request.to_ms})
        self.first = next(i for i, t in enumerate(self.times) if t >= request.from_ms)
        self.last = [self._quotes(s.bars) for s in feed.symbols]
        self.mark = [self._marks(s, last) for s, last in zip(feed.symbols, self.last, strict=True)]
        self.stamps = {} if self.is_spot or not request.funding else self._stamps()
        self.wallet = dec(request.initial_balance)
        self.slippage = dec(request.slippage_bps) / 10_000
        self.fee_rate = dec(request.taker_fee)
        self.holdings = [Holding() for _ in feed.symbols]
        self.orders, self.fills, self.trades, self.funding = [], [], [], []
        self.liquidations, self.equity, self.waiting = [], [], []
        self.is_ruined = False
        self.i = self.time = 0

    # The run: the order of events.
    def play(self, script):
        for i_step in range(self.first, len(self.times)):
            self.i, self.time = i_step, self.times[i_step]
            self._at_open(self._marks_of("open"))
            self._walk_path()
            self._at_marks(self._marks_of("close"))
            self.is_ruined = self.is_ruined or self.margin_balance <= 0
            self.time += self.request.timeframe_ms
            calls = () if self.is_ruined else script.get(self.i, ())  # nobody asks a ruined account's strategy
            for name, fields in calls:
                getattr(self, name)(**fields)
                self.is_ruined = self.is_ruined or self.margin_balance <= 0
            self._write_equity()
            if self.is_ruined:
                break
        status, reason = OrderStatus.EXPIRED, Reason.END_OF_DATA
        if self.is_ruined:
            status, reason = OrderStatus.CANCELLED, Reason.RUINED
        for order in self.waiting:
            order |= {"status": status, "reason": reason}
        return self

    def _marks_of(self, name):
        return [None if plane[self.i] is None else getattr(plane[self.i], name) for plane in self.mark]

    def _at_marks(self, marks):
        for holding, mark in zip(self.holdings, marks, strict=True):
            holding.mark = mark
            if holding.qty:
                self._note(holding)

    def _at_open(self, marks):
        self._at_marks(marks)
        self._charge_funding(late=False)
        for i in range(len(self.holdings)):
            self._liquidate_if_due(i)
        for order in list(self.waiting):
            quote = self.last[order["i_symbol"]][self.i]
            if quote and quote.is_traded and order in self.waiting:
                self.waiting.remove(order)
                self._fill(order, quote.open)
        self._charge_funding(late=True)

    def _charge_funding(self, *, late):
        for time, i, rate, own in self.stamps.get((self.i, late), ()):
            self._pay(time, i, rate, own)

    def _pay(self, time, i, rate, own):
        holding = self.holdings[i]
        if not holding.qty:
            return
        if not np.isnan(own):
            mark = dec(own)
        elif self.times[self.i] <= time:
            mark = self.mark[i][self.i].open
        else:
            mark = self.mark[i][self.i - 1].close
        payment = max(-holding.qty * mark * rate, -self.wallet_of(i))
        holding.wallet += payment
        self.wallet += payment
        holding.trade["funding"] += payment
        self.funding.append({"time_ms": time, "i_symbol": i, "payment": payment, "mark_price": mark})
        self._liquidate_if_due(i)

    # The path inside a bar, for liquidation.
    def _walk_path(self):
        ways = {i: self._way(i) for i, holding in enumerate(self.holdings) if holding.qty}
        hits = []
        for i, way in ways.items():
            level = self.liquidation_level(i)
            time = None if level is None else first_touch(way, level, -self.holdings[i].side)
            if time is not None:
                hits.append((time, i, level))
        for time, i, level in sorted(hits, key=lambda hit: hit[:2]):
            for j, way in ways.items():  # where everyone stands when it happens
                if self.holdings[j].qty:
                    self._see(j, way, time)
            side, mark = self.holdings[i].side, self.holdings[i].mark
            price = min(level, mark) if side > 0 else max(level, mark)
            self._liquidate(i, price if time == 0 else level)
        for i, way in ways.items():
            if self.holdings[i].qty:
                self._see(i, way, Decimal(3))

    def _way(self, i):
        quote = self.mark[i][self.i]
        is_low_first = (self.holdings[i].side > 0) == (self.request.path == "pessimistic")
        first, second = (quote.low, quote.high) if is_low_first else (quote.high, quote.low)
        return [quote.open, first, second, quote.close]

    def _see(self, i, way, until):
        holding = self.holdings[i]
        for k in range(int(until) + 1):
            holding.mark = way[k]
            self._note(holding)
        leg = int(until)
        if leg < 3:
            holding.mark = way[leg] + (way[leg + 1] - way[leg]) * (until - leg)
            self._note(holding)

    @staticmethod
    def _note(holding):
        holding.trade["mae"] = min(holding.trade["mae"], holding.pnl)
        holding.trade["mfe"] = max(holding.trade["mfe"], holding.pnl)

    # Liquidation.
    def _liquidate_if_due(self, i):
        holding = self.holdings[i]
        if holding.qty and not self.is_spot and self.excess(i, holding.mark) <= 0:
            self._liquidate(i, holding.mark)

    def _liquidate(self, i, price):
        holding = self.holdings[i]
        holding.mark = price
        self._note(holding)
        notional = abs(holding.qty) * price
        fee = notional * dec(self.feed.symbols[i].instrument.liquidation_fee_rate)
        cost = fee - holding.pnl
        loss = min(self.wallet_of(i), cost)
        self.liquidations.append(
            {
                "i_symbol": i,
                "price": price,
                "loss": loss,
                "covered": cost - loss,
                "maintenance_margin": self.maintenance(i, price),
            }
        )
        self._append_fill(i, None, -holding.side, abs(holding.qty), price, price, fee, holding.pnl, cost - loss)
        trade = holding.trade
        trade["liquidation_loss"] += loss
        self._leave(trade, abs(holding.qty), price)
        self.wallet = max(self.wallet - loss, ZERO)
        self._end_trade(trade, ExitReason.LIQUIDATION)
        self.holdings[i] = Holding(mark=price)
        self.fills[-1] |= {"position_qty": ZERO, "wallet_balance": self.wallet}
        self._cancel_liquidated(i)

    def _cancel_liquidated(self, i):
        for order in [o for o in self.waiting if o["i_symbol"] == i]:
            self.waiting.remove(order)
            order |= {"status": OrderStatus.CANCELLED, "reason": Reason.LIQUIDATED}

    # What the strategy may ask for.
    def submit(self, *, side, size, size_kind=SizeKind.QTY, i_symbol=0, leverage=None, is_reduce_only=False):
        self._place(size_kind, i_symbol, side, size, leverage, is_reduce_only)

    def close_position(self, *, i_symbol=0, percentage=100.0):
        self._place(SizeKind.POSITION_PERCENT, i_symbol, 0, percentage, None, True)

    def target_ratio(self, *, ratio, i_symbol=0, leverage=None):
        self._place(SizeKind.TARGET_RATIO, i_symbol, 0, ratio, leverage, False)

    def cancel(self, *, order_id):
        for order in [o for o in self.waiting if o["order_id"] == order_id]:
            self.waiting.remove(order)
            order |= {"status": OrderStatus.CANCELLED, "reason": Reason.BY_STRATEGY}

    def cancel_all(self, *, i_symbol=-1):
        for order in [o for o in self.waiting if i_symbol in (-1, o["i_symbol"])]:
            self.cancel(order_id=order["order_id"])

    def _place(self, size_kind, i_symbol, side, size, leverage, is_reduce_only):
        order = {
            "order_id": len(self.orders),
            "i_symbol": i_symbol,
            "side": side,
            "size_kind": size_kind,
            "size": dec(size),
            "leverage": dec(self.request.leverage if leverage is None else leverage),
            "is_reduce_only": is_reduce_only,
            "status": OrderStatus.PENDING,
            "reason": Reason.NONE,
            "filled_qty": ZERO,
        }
        self.orders.append(order)
        quote = self.last[i_symbol][self.i]
        if self.is_ruined:
            order |= {"status": OrderStatus.REJECTED, "reason": Reason.RUINED}
        elif self.request.fill == "close" and quote and quote.is_traded:
            self._fill(order, quote.close)
        elif quote is None or not self._refuse(order, quote.close):
            self.waiting.append(order)

    # Filling.
    def _fill(self, order, reference):
        if self._refuse(order, reference):
            return
        qty, price = self._resolve(order, reference), self._price(order, reference)
        held = self.holdings[order["i_symbol"]].qty
        closing = min(qty, abs(held)) if held * order["side"] < 0 else ZERO
        opening = ZERO if order["is_reduce_only"] else qty - closing
        if closing:
            self._reduce(order, closing, price, reference, ExitReason.FLIP if opening else ExitReason.ORDER)
        if opening:
            is_refused = self._margin_refusal(order, opening, price) != Reason.NONE
            if order["size_kind"] == SizeKind.TARGET_RATIO:
                opening = min(opening, self._affordable(order, price, self.available))
            if is_refused or not opening:
                order |= {"status": OrderStatus.CANCELLED, "reason": Reason.INSUFFICIENT_MARGIN}
                return
            self._increase(order, opening, price, reference)
        order["status"] = OrderStatus.FILLED

    def _increase(self, order, qty, price, reference):
        holding = self.holdings[order["i_symbol"]]
        margin, fee = qty * price / order["leverage"], qty * price * self.fee_rate
        if not holding.qty:
            holding.trade = {
                "i_symbol": order["i_symbol"],
                "side": order["side"],
                "i_bar_entry": self.i,
                "i_bar_exit": -1,
                "exit_reason": ExitReason.OPEN,
                "paid": ZERO,
                "got": ZERO,
                **dict.fromkeys(("qty", "closed_qty", "initial_margin", "gross_pnl", "fees"), ZERO),
                **dict.fromkeys(("funding", "liquidation_loss", "covered", "mae", "mfe"), ZERO),
            }
            self.trades.append(holding.trade)
        trade = holding.trade
        trade["qty"] += qty
        trade["paid"] += qty * price
        trade["initial_margin"] += margin
        trade["fees"] += fee
        total = abs(holding.qty) + qty
        holding.entry = (abs(holding.qty) * holding.entry + qty * price) / total
        holding.qty = order["side"] * total
        holding.margin += margin
        holding.wallet += margin
        self.wallet -= fee
        order["filled_qty"] += qty
        self._append_fill(order["i_symbol"], order, order["side"], qty, price, reference, fee, ZERO, ZERO)
        self._note(holding)

    def _reduce(self, order, qty, price, reference, reason):
        i = order["i_symbol"]
        holding = self.holdings[i]
        share = qty / abs(holding.qty)
        fee = qty * price * self.fee_rate
        gain = holding.side * qty * (price - holding.entry)
        covered = max(ZERO, fee - gain - self.bearable(i, share))
        trade = holding.trade
        trade["gross_pnl"] += gain
        trade["fees"] += fee
        trade["covered"] += covered
        self._leave(trade, qty, price)
        self.wallet = max(self.wallet + gain - fee + covered, ZERO)
        holding.margin *= 1 - share
        holding.wallet *= 1 - share
        holding.qty += order["side"] * qty
        order["filled_qty"] += qty
        self._append_fill(i, order, order["side"], qty, price, reference, fee, gain, covered)
        if not holding.qty:
            self._end_trade(trade, reason)
            self.holdings[i] = Holding(mark=holding.mark)

    def _append_fill(self, i, order, side, qty, price, reference, fee, gain, covered):
        self.fills.append(
            {
                "order_id": order["order_id"] if order else -1,
                "i_bar": self.i,
                "time_ms": self.time,
                "i_symbol": i,
                "side": side,
                "kind": OrderKind.MARKET if order else OrderKind.LIQUIDATION,
                "qty": qty,
                "price": price,
                "fee": fee,
                "slippage": qty * abs(price - reference),
                "realised_pnl": gain,
                "covered": covered,
                "position_qty": self.holdings[i].qty,
                "wallet_balance": self.wallet,
            }
        )

    @staticmethod
    def _leave(trade, qty, price):
        trade["closed_qty"] += qty
        trade["got"] += qty * price

    def _end_trade(self, trade, reason):
        trade |= {"i_bar_exit": self.i, "exit_reason": reason}

    def _write_equity(self):
        self._at_close_marks()
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

    def _at_close_marks(self):
        for holding, mark in zip(self.holdings, self._marks_of("close"), strict=True):
            holding.mark = mark
