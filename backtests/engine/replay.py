"""The same kernels without a strategy: a command log goes through the bars with no Python per bar."""

import numpy as np
from numpy.typing import NDArray

from backtests.engine.errors import IntegrityError
from backtests.engine.kernels.types import COMMAND, CommandKind, SizeKind
from backtests.engine.portfolio.market import build_market
from backtests.engine.portfolio.order_words import MAX_TARGETS
from backtests.engine.portfolio.simulation import Simulation, build_rules
from backtests.engine.request import Feed, RunRequest
from backtests.engine.result import CommandLog, EngineResult, Rows

_PRICES = ("limit_price", "stop_price", "stop_loss", "take_profit")
_TARGETS = (SizeKind.TARGET_RATIO, SizeKind.TARGET_QTY, SizeKind.TARGET_NOTIONAL)
_SIZES = (SizeKind.QTY, SizeKind.NOTIONAL, SizeKind.EQUITY_RATIO)


def replay(request: RunRequest, feed: Feed, commands: CommandLog) -> EngineResult:
    """Fills, trades and equity of a command log: bit-identical to those of the run that wrote it.

    The log may come from anywhere: raises IntegrityError for one that no run can have written.
    """
    market = build_market(request, feed)
    first_bar = int(np.searchsorted(market.step_ms, request.from_ms))
    rows = np.ascontiguousarray(commands.rows.astype(COMMAND, copy=True))
    check_commands(rows, first_bar, len(market.step_ms), len(feed.symbols), len(commands.tags))
    simulation = Simulation(market, build_rules(request, feed, first_bar), request.initial_balance)
    simulation.reserve(len(rows))
    simulation.play(rows, len(rows), simulation.n_bars - 1)
    return simulation.result(commands.tags)


def check_commands(rows: Rows, first_bar: int, n_bars: int, n_symbols: int, n_tags: int) -> None:
    """The kernels index by what a command says; nothing out of range may reach them."""
    if not len(rows):
        return
    kind, size, leverage = rows["kind"], rows["size"], rows["leverage"]
    is_submit, is_target = kind == CommandKind.SUBMIT, kind == CommandKind.TARGET
    is_close, is_attached = kind == CommandKind.CLOSE_POSITION, kind == CommandKind.ATTACH_TAKE_PROFIT
    is_exit = np.isin(kind, (CommandKind.SET_STOP_LOSS, CommandKind.SET_TAKE_PROFIT))
    is_order = is_submit | is_close | is_target | is_exit
    is_share = is_attached | (rows["size_kind"] == SizeKind.EQUITY_RATIO)
    most = np.where(is_close, 100.0, np.where(is_share, 1.0, np.inf))
    is_positive = (size > 0.0) & (size <= most) & np.isfinite(size)
    prices = np.stack([rows[name] for name in _PRICES])
    exit_price = np.where(kind == CommandKind.SET_STOP_LOSS, rows["stop_price"], rows["limit_price"])
    ratio = rows["trailing_ratio"]
    checks = {
        "bar": (rows["i_bar"] >= first_bar) & (rows["i_bar"] < n_bars) & (np.diff(rows["i_bar"], prepend=0) >= 0),
        "kind": np.isin(kind, list(CommandKind)),
        "symbol": (rows["i_symbol"] >= np.where(is_order, 0, -1)) & (rows["i_symbol"] < n_symbols),
        "side": ~is_submit | np.isin(rows["side"], (1, -1)),
        "size kind": (~is_submit | np.isin(rows["size_kind"], _SIZES))
        & (~is_target | np.isin(rows["size_kind"], _TARGETS)),
        "size": (~(is_submit | is_close | is_attached) | is_positive) & (~is_target | np.isfinite(size)),
        "leverage": np.isnan(leverage) | ((leverage >= 1.0) & np.isfinite(leverage)),
        "price": np.all(np.isnan(prices) | ((prices > 0.0) & np.isfinite(prices)), axis=0)
        & (~(is_exit | is_attached) | ~np.isnan(exit_price)),
        # What takes its side from the position has no price of its own: with one it would trade on no side at all.
        "price for its kind": ~(is_close | is_target) | (np.isnan(rows["limit_price"]) & np.isnan(rows["stop_price"])),
        "trailing ratio": np.isnan(ratio) | ((ratio > 0.0) & (ratio < 1.0)),
        "term": rows["good_for_bars"] >= 0,
        "number of targets": _count_targets(rows, is_attached) <= MAX_TARGETS,
        "tag": (rows["i_tag"] >= -1) & (rows["i_tag"] < n_tags),
    }
    for name, is_good in checks.items():
        if not bool(np.all(is_good)):
            raise IntegrityError(f"Command {int(np.argmin(is_good))} of the order log has an impossible {name}.")


def _count_targets(rows: Rows, is_attached: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many ATTACH_TAKE_PROFIT rows stand in one stretch up to each row."""
    place = np.arange(len(rows))
    last_other = np.maximum.accumulate(np.where(is_attached, -1, place))
    return place - last_other
