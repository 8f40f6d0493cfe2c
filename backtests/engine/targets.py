"""Targets without a strategy: an array of wanted positions goes through the bars with no Python per bar."""

from collections.abc import Callable
from typing import Any

import numpy as np

from backtests.engine.portfolio.follower import Follower
from backtests.engine.portfolio.market import build_market
from backtests.engine.portfolio.simulation import Simulation, build_rules
from backtests.engine.request import Feed, RunRequest
from backtests.engine.result import CommandLog, EngineResult
from backtests.engine.strategy.candles import Candles
from backtests.engine.strategy.targets import Targets, make_plan

type TargetSource = Targets | Any | Callable[[Candles], Any]


def run_targets(request: RunRequest, feed: Feed, targets: TargetSource) -> EngineResult:
    """What comes of wanting these positions of the primary symbol.

    targets: Targets, an array (equity ratios), or a function that makes either from the Candles. One value for each
    bar of the timeline before the request's end, warm-up included; NaN: no change. Raises StrategyRunError.
    """
    return follow_targets(request, feed, targets)[0]


def follow_targets(request: RunRequest, feed: Feed, targets: TargetSource) -> tuple[EngineResult, CommandLog]:
    """run_targets, and the orders that were made: their replay gives the same result to the bit."""
    market = build_market(request, feed)
    first_bar = int(np.searchsorted(market.step_ms, request.from_ms))
    candles = Candles(feed, market.step_ms, first_bar)
    plan = make_plan(targets(candles) if callable(targets) else targets, candles)
    simulation = Simulation(market, build_rules(request, feed, first_bar), request.initial_balance)
    follower = Follower(simulation, plan)
    follower.play(simulation.n_bars - 1)
    return simulation.result(()), CommandLog(follower.commands.copy())
