"""Simulation: owns the arrays that the kernels change, lets tables grow, and calls the compiled entries."""

from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from backtests.engine.errors import DataError
from backtests.engine.kernels.compiler import entry_of
from backtests.engine.kernels.layout import ACCOUNT, EVENT, POSITION, RUN_RULES, SIZES, SYMBOL_RULES, TIER, WAITING
from backtests.engine.kernels.play import finish, look_ahead, play, read_liquidation_level, read_margin_ratio
from backtests.engine.kernels.state import Books, Market, Rows, Rules, Scratch, Sim, hand_over
from backtests.engine.kernels.targets import PLAN, follow, sum_up
from backtests.engine.kernels.types import COMMAND, EQUITY, FILL, FUNDING, LIQUIDATION, ORDER, TRADE, EventKind
from backtests.engine.kernels.waiting import FOREVER
from backtests.engine.request import (
    Feed,
    FillPolicy,
    Instrument,
    LimitFill,
    MarginMode,
    PathRule,
    RunRequest,
    TradingMarket,
)
from backtests.engine.result import EngineResult

FIRST_ROWS = 256  # of each table that grows


class Simulation:
    """One account on its way through a market. `books` is replaced when tables grow: do not keep it."""

    _entries: ClassVar[tuple[Any, ...] | None] = None  # every simulation has the same array types

    def __init__(self, market: Market, rules: Rules, initial_balance: float, *, keeps_equity: bool = True) -> None:
        """keeps_equity: False leaves the equity table out, and the account keeps its extremes (kernels/equity.py)."""
        self.initial_balance = initial_balance
        self.n_bars = len(market.step_ms)
        self.first_bar = int(rules.run["first_bar"][0])
        account = np.zeros(1, ACCOUNT)
        positions = np.zeros(len(rules.symbols), POSITION)
        books = Books(
            orders=np.zeros(FIRST_ROWS, ORDER),
            fills=np.zeros(FIRST_ROWS, FILL),
            trades=np.zeros(FIRST_ROWS, TRADE),
            funding=np.zeros(len(market.funding), FUNDING),
            liquidations=np.zeros(FIRST_ROWS, LIQUIDATION),
            equity=np.empty(self.n_bars - self.first_bar if keeps_equity else 0, EQUITY),
            events=np.zeros(FIRST_ROWS, EVENT),
            waiting=np.zeros(FIRST_ROWS, WAITING),
        )
        self.account = account
        self.positions = positions
        self._start()
        states = (account.view(np.uint8), positions.view(np.uint8))  # rows of many fields are slow to assign
        self._beginnings = tuple((rows, rows.copy()) for rows in states)
        self.market, self.rules = market, rules
        self._facts = find_facts(market, rules, is_swept=not keeps_equity)
        self.use_books(books)
        if Simulation._entries is None:
            commands, changes = np.zeros(1, COMMAND), (np.zeros(1, np.int64), np.zeros(1))
            Simulation._entries = (
                entry_of(play, self._handle, commands, 1, 1),
                entry_of(look_ahead, self._handle, 1, 1),
                entry_of(finish, self._handle),
                entry_of(read_margin_ratio, self._handle, 1),
                entry_of(read_liquidation_level, self._handle, 1, 1),
                entry_of(follow, self._handle, commands, np.zeros(1, PLAN), np.zeros(1), *changes, 1),
                entry_of(sum_up, self._handle),
            )
        self._play, self._look_ahead, self._finish, self._margin_ratio, self._level, *targets = Simulation._entries
        self._follow, self._sum_up = targets

    def _start(self) -> None:
        account, positions = self.account, self.positions
        for name in ("wallet_balance", "balance", "peak_balance"):
            account[name] = self.initial_balance
        account["i_bar"] = self.first_bar - 1
        account["next_expiry"] = FOREVER
        positions["i_trade"] = -1
        positions["i_fine_traded"] = -1

    def reset(self) -> None:
        """Back to the first bar with the initial balance. Rows that were handed out as views change."""
        for rows, beginning in self._beginnings:  # rows of the tables are written whole
            rows[:] = beginning

    def play(self, commands: Rows, n_commands: int, i_bar: int) -> None:
        """Play all commands that are not yet played, and the steps up to i_bar."""
        while not self._play(self._handle, commands, n_commands, i_bar):
            self._grow()

    def reserve(self, n_orders: int) -> None:
        """Before the first bar: room for so many orders that fill once. Growing would copy what there is, each time."""
        books = self.books._replace(
            orders=np.zeros(max(n_orders, FIRST_ROWS) + FIRST_ROWS, ORDER),
            fills=np.zeros(2 * max(n_orders, FIRST_ROWS) + FIRST_ROWS, FILL),
            trades=np.zeros(max(n_orders, FIRST_ROWS) + FIRST_ROWS, TRADE),
        )
        self.use_books(books)

    def follow(
        self,
        commands: Rows,
        plan: Rows,
        values: NDArray[np.float64],
        changes: tuple[NDArray[np.int64], NDArray[np.float64]],
        i_bar: int,
    ) -> Rows:
        """Play the steps up to and with i_bar, and at each close what `values` wants there (kernels/targets.py).

        changes: the bars at which values change, and their values. plan: one row, kept between calls. Returns the log,
        which is another array when it had to grow.
        """
        while not self._follow(self._handle, commands, plan, values, *changes, i_bar):
            self._grow()
            if 2 * int(self.account["n_commands"][0]) > len(commands):
                commands = _doubled(commands)
        return commands

    def find_next_event(self, i_from: int, i_to: int) -> int:
        """The first step from i_from on in which anything can happen; i_to when none before it."""
        return int(self._look_ahead(self._handle, i_from, i_to))

    def finish(self) -> None:
        """After the last step. Does nothing the second time."""
        self._finish(self._handle)

    def sum_up(self) -> tuple[float, ...]:
        """Of a sweep, after the last step: the fields of the account, in the order of ACCOUNT. Its rows are gone."""
        self._finish(self._handle)
        self._sum_up(self._handle)
        return tuple(self.account.item())

    def margin_ratio(self, i_bar: int) -> float:
        """At the close of the step on which the strategy stands."""
        return float(self._margin_ratio(self._handle, i_bar))

    def liquidation_level(self, i_bar: int, i_symbol: int) -> float:
        """At the close of the step on which the strategy stands, the other marks staying where they are."""
        return float(self._level(self._handle, i_bar, i_symbol))

    def rows(self, table: str) -> Rows:
        """The used rows of a table; a view that is good until the next call."""
        rows: Rows = getattr(self.books, table)
        return rows[: int(self.account[f"n_{table}"][0])]

    def listen(self, is_listening: bool) -> None:
        """Whether the kernels keep the list of events."""
        self.rules.run["is_listening"] = is_listening

    def take_events(self) -> list[tuple[EventKind, int]]:
        """The events since the last call, as (kind, row), in order."""
        events = [(EventKind(kind), int(i_row)) for kind, i_row in self.rows("events")]
        self.account["n_events"] = 0
        return events

    def result(self, tags: tuple[str, ...]) -> EngineResult:
        self.finish()
        volume = self.market.last.volume[0, self.market.first_fine[self.first_bar] :]
        return EngineResult(
            **{name: self.rows(name) for name in ("orders", "fills", "trades", "equity", "funding", "liquidations")},
            tags=tags,
            initial_balance=self.initial_balance,
            is_ruined=bool(self.account["is_ruined"][0]),
            n_bars=int(self.account["n_equity"][0]),
            first_bar=self.first_bar,
            counters={
                "no_trade_bars": int(np.count_nonzero(volume == 0.0)),
                "ambiguous_bars": int(self.account["n_ambiguous"][0]),
            },
        )

    def _grow(self) -> None:
        """Those tables that are more than half full; all, if none is. Too little makes the kernels ask again."""
        books = self.books
        names = [name for name in books._fields if name not in ("equity", "funding")]
        fullest = [name for name in names if 2 * len(self.rows(name)) > len(getattr(books, name))]
        grown = {name: _doubled(getattr(books, name)) for name in fullest or names}
        self.use_books(books._replace(**grown))

    def use_books(self, books: Books) -> None:
        """These tables from here on: kernels are handed their addresses."""
        self.books = books
        scratch = make_scratch(books, self.positions)
        sizes = make_sizes(self.market, self.rules.tiers, books)
        for name, value in self._facts.items():
            sizes[name] = value
        self._sim = Sim(self.market, self.rules, books, self.account, self.positions, scratch, sizes)
        self._handle = hand_over(self._sim)


def build_rules(request: RunRequest, feed: Feed, first_bar: int) -> Rules:
    """Raises RequestError for what cannot be simulated yet, DataError for futures without margin tiers."""
    run = np.zeros(1, RUN_RULES)
    run["first_bar"] = first_bar
    run["timeframe_ms"] = request.timeframe_ms
    run["is_spot"] = request.market == TradingMarket.SPOT
    run["is_cross"] = request.margin_mode == MarginMode.CROSS and not run["is_spot"][0]
    run["fills_through"] = request.limit_fill == LimitFill.THROUGH
    run["participation_cap"] = np.inf if request.participation_cap is None else request.participation_cap
    run["fills_at_close"] = request.fill == FillPolicy.CLOSE
    run["is_optimistic"] = request.path == PathRule.OPTIMISTIC
    run["slippage_ratio"] = request.slippage_bps / 10_000.0
    for name in ("leverage", "max_leverage", "maker_fee", "taker_fee"):
        run[name] = getattr(request, name)
    instruments = [symbol.instrument for symbol in feed.symbols]
    if request.market == TradingMarket.USDM:
        for instrument in instruments:
            if not instrument.tiers:
                raise DataError(f"There are no margin tiers for {instrument.symbol}.")
    return build_symbol_rules(run, instruments)


def build_symbol_rules(run: Rows, instruments: list[Instrument]) -> Rules:
    symbols = np.zeros(len(instruments), SYMBOL_RULES)
    tiers = np.zeros((len(instruments), max(1, *(len(i.tiers) for i in instruments))), TIER)
    for i, instrument in enumerate(instruments):
        symbols[i]["tick_numerator"], symbols[i]["tick_denominator"] = _as_fraction(instrument.tick_size)
        for name in ("min_qty", "min_notional", "liquidation_fee_rate"):
            symbols[i][name] = getattr(instrument, name)
        symbols[i]["step_numerator"], symbols[i]["step_denominator"] = _as_fraction(instrument.step_size)
        symbols[i]["n_tiers"] = len(instrument.tiers)
        for k, tier in enumerate(instrument.tiers):
            tiers[i, k] = (tier.floor, tier.cap, tier.maintenance_rate, tier.max_leverage, tier.cumulative)
    return Rules(run, symbols, tiers)


def _as_fraction(size: float) -> tuple[float, float]:
    """0.1 -> (1, 10), 0.0075 -> (3, 400): so many of them are then the float of the decimal, which 3 * 0.1 is not."""
    exact = Fraction(repr(float(size)))
    if max(exact.numerator, exact.denominator) < 2**53:
        return float(exact.numerator), float(exact.denominator)
    return size, 1.0


def make_sizes(market: Market, tiers: Rows, books: Books) -> Rows:
    """SIZES: what kernels cannot see of a table."""
    sizes = np.zeros(1, SIZES)
    sizes["n_symbols"], sizes["n_fine"] = market.last.close.shape
    sizes["n_steps"], sizes["n_funding"], sizes["n_tiers"] = len(market.step_ms), len(market.funding), tiers.shape[1]
    for name in ("orders", "fills", "trades", "liquidations", "equity", "events", "waiting"):
        sizes[f"most_{name}"] = len(getattr(books, name))
    return sizes


def find_facts(market: Market, rules: Rules, *, is_swept: bool) -> dict[str, float]:
    """What saves kernels a look at the market (SIZES). A sweep, which looks at it many times, finds out more."""
    volume = market.last.volume
    facts: dict[str, float] = {"n_idle": volume.size - int(np.count_nonzero(volume > 0.0))}
    if not is_swept:
        return facts | {"lowest_mark": -np.inf, "highest_mark": np.inf}
    is_regular = bool(np.all(np.diff(market.step_ms) == rules.run["timeframe_ms"]))
    facts |= {"is_regular": is_regular, "first_ms": int(market.step_ms[0])}
    return facts | {"lowest_mark": float(market.mark.low.min()), "highest_mark": float(market.mark.high.max())}


def make_scratch(books: Books, positions: Rows) -> Scratch:
    """Empty rows, which cost no memory until they are written."""
    n_waiting = len(books.waiting)
    return Scratch(
        positions=np.zeros(len(positions), POSITION),
        waiting=np.zeros(n_waiting, WAITING),
        orders=np.zeros(n_waiting, ORDER),
        trades=np.zeros(len(positions), TRADE),
        fills=np.zeros(len(books.fills), FILL),
    )


def _doubled(rows: Any) -> Any:
    grown = np.zeros(2 * len(rows), rows.dtype)
    grown[: len(rows)] = rows
    return grown
