"""Many parameter sets on one feed: the numbers of each run, without keeping the runs."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from backtests.engine.errors import RequestError
from backtests.engine.kernels.layout import ACCOUNT
from backtests.engine.loop import run
from backtests.engine.portfolio import Account
from backtests.engine.portfolio.follower import Follower, TargetPlan
from backtests.engine.portfolio.market import build_market
from backtests.engine.portfolio.simulation import Simulation, build_rules
from backtests.engine.request import Feed, ParamValue, RunRequest
from backtests.engine.result import EngineResult, Rows
from backtests.engine.strategy import Candles, Session, Strategy, has_targets, load_class, make_plan, make_strategy
from backtests.engine.strategy.param import find_params

type ParamSet = Mapping[str, ParamValue]
type SweepStrategy = str | type[Strategy] | Callable[..., Any]
type Grid = Mapping[str, Sequence[ParamValue]] | Iterable[ParamSet]

NUMBERS = np.dtype(
    [
        ("final_equity", "f8"),
        ("max_drawdown", "f8"),  # deepest fraction below the running peak of equity at the closes, <= 0
        ("fees", "f8"),
        ("funding", "f8"),  # positive = received
        ("n_orders", "i8"),
        ("n_rejected", "i8"),
        ("n_fills", "i8"),
        ("n_trades", "i8"),
        ("n_liquidations", "i8"),
        ("is_ruined", "?"),
    ]
)


def sweep(request: RunRequest, feed: Feed, strategy: SweepStrategy, grid: Grid) -> Rows:
    """One row for each parameter set, in the order of the grid: its parameters, then NUMBERS.

    strategy: a function `f(candles, **params)` that returns Targets or an array, a Strategy class, or a source. grid:
    the values of each parameter, of which all combinations are taken (the last one changes fastest), or the sets
    themselves, all with the same names. Candles and their indicators are computed once for all sets. A row is what the
    single run gives, to the bit. Strategies with on_data work too, each in a run of its own. What a set raises goes
    through.
    """
    sets = list_sets(grid)
    numbers = np.zeros(len(sets), NUMBERS)
    for i, row in enumerate(_run_sets(request, feed, strategy, sets)):
        numbers[i] = row
    return _join(sets, numbers)


def list_sets(grid: Grid) -> list[dict[str, ParamValue]]:
    """Every parameter set of a grid. Raises RequestError for an empty one, and for sets of different names."""
    if isinstance(grid, Mapping):
        sets = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    else:
        sets = [dict(params) for params in grid]
    if not sets:
        raise RequestError("params", "empty_grid", "The grid has no parameter set: name values for each parameter.")
    if any(params.keys() != sets[0].keys() for params in sets):
        raise RequestError("params", "different_names", "All parameter sets of a sweep have the same names.")
    taken = set(sets[0]) & set(NUMBERS.names or ())
    if taken:
        raise RequestError("params", "taken_name", f"A column of the result is called {', '.join(sorted(taken))}.")
    return sets


def _run_sets(
    request: RunRequest, feed: Feed, strategy: SweepStrategy, sets: list[dict[str, ParamValue]]
) -> Iterator[tuple[Any, ...]]:
    strategy_class = load_class(strategy) if isinstance(strategy, str) else strategy
    if not isinstance(strategy_class, type):
        yield from _follow_all(request, feed, _plans_of_function(request, feed, strategy_class, sets))
    elif not has_targets(strategy_class):
        for params in sets:
            yield _read_result(run(Session(make_strategy(strategy_class, params)), request, feed))
    else:
        yield from _follow_all(request, feed, _plans_of_class(request, feed, strategy_class, sets))


def _plans_of_function(
    request: RunRequest, feed: Feed, function: Callable[..., Any], sets: list[dict[str, ParamValue]]
) -> Iterator[TargetPlan]:
    account = Account(request, feed)
    candles = Candles(feed, account.open_ms, account.first_bar)
    for params in sets:
        yield make_plan(function(candles, **params), candles)


def _plans_of_class(
    request: RunRequest, feed: Feed, strategy_class: type[Strategy], sets: list[dict[str, ParamValue]]
) -> Iterator[TargetPlan]:
    session: Session | None = None
    declared = find_params(strategy_class)
    for params in sets:
        strategy = make_strategy(strategy_class, params, declared)
        if session is None:
            session = Session(strategy, is_drawing=False)
            session.bind(Account(request, feed))
        else:
            session.plan = session.plan_anew(strategy)
        yield session.take_plan()


def _follow_all(request: RunRequest, feed: Feed, plans: Iterable[TargetPlan]) -> Iterator[tuple[Any, ...]]:
    """One simulation for all: its tables are emptied between the plans. No plan is held while the next one is made, so
    that its arrays take the same memory, which the cache still has.
    """
    market = build_market(request, feed)
    first_bar = int(np.searchsorted(market.step_ms, request.from_ms))
    rules = build_rules(request, feed, first_bar)
    simulation = Simulation(market, rules, request.initial_balance, keeps_equity=False)
    log: Rows | None = None
    for plan in plans:
        simulation.reset()
        follower = Follower(simulation, plan, log)
        follower.play(simulation.n_bars - 1)
        log = follower.log
        del plan, follower
        yield _read_account(simulation.sum_up())


# Where the account of a swept run has NUMBERS, in their order.
_NUMBERS_OF_ACCOUNT = (
    *("balance", "max_drawdown", "fees", "funding"),
    *("n_past_orders", "n_rejected", "n_past_fills", "n_past_trades", "n_liquidations", "is_ruined"),
)
_read_account = itemgetter(*((ACCOUNT.names or ()).index(name) for name in _NUMBERS_OF_ACCOUNT))


def _read_result(result: EngineResult) -> tuple[Any, ...]:
    """In the order of NUMBERS."""
    balance = result.equity["margin_balance"]
    peak = np.maximum(np.maximum.accumulate(balance), result.initial_balance)
    return (
        result.final_equity,
        min(0.0, float((balance / peak - 1.0).min())),
        _add_in_order(result.fills["fee"]),
        _add_in_order(result.funding["payment"]),
        len(result.orders),
        result.n_orders_rejected,
        len(result.fills),
        len(result.trades),
        len(result.liquidations),
        result.is_ruined,
    )


def _add_in_order(amounts: Rows) -> float:
    """One after the other, as the kernels add: numpy's sum goes by pairs, which differs in the last digit."""
    return float(np.add.accumulate(amounts)[-1]) if len(amounts) else 0.0


def _join(sets: list[dict[str, ParamValue]], numbers: Rows) -> Rows:
    columns = {name: np.array([params[name] for params in sets]) for name in sets[0]}
    dtype = [(name, column.dtype) for name, column in columns.items()]
    table = np.empty(len(sets), [*dtype, *((name, numbers.dtype[name]) for name in numbers.dtype.names or ())])
    for name, column in columns.items():
        table[name] = column
    for name in numbers.dtype.names or ():
        table[name] = numbers[name]
    return table
