"""The same kernels without a strategy: a command log goes through the bars with no Python per bar."""

import numpy as np

from backtests.engine.errors import IntegrityError
from backtests.engine.kernels.types import COMMAND, CommandKind, SizeKind
from backtests.engine.portfolio.market import build_market
from backtests.engine.portfolio.simulation import Simulation, build_rules
from backtests.engine.request import Feed, RunRequest
from backtests.engine.result import CommandLog, EngineResult, Rows

_PLAYED = (
    CommandKind.SUBMIT,
    CommandKind.CANCEL,
    CommandKind.CANCEL_ALL,
    CommandKind.CLOSE_POSITION,
    CommandKind.TARGET,
)
_TARGETS = (0, SizeKind.TARGET_RATIO, SizeKind.TARGET_QTY, SizeKind.TARGET_NOTIONAL)  # 0 means the ratio
_PRICES = ("limit_price", "stop_price", "stop_loss", "take_profit", "trailing_ratio")  # of orders not yet played


def replay(request: RunRequest, feed: Feed, commands: CommandLog) -> EngineResult:
    """Fills, trades and equity of a command log: bit-identical to those of the run that wrote it.

    The log may come from anywhere: raises IntegrityError for one that no run can have written.
    """
    market = build_market(request, feed)
    first_bar = int(np.searchsorted(market.step_ms, request.from_ms))
    rows = np.ascontiguousarray(commands.rows.astype(COMMAND, copy=True))
    check_commands(rows, first_bar, len(market.step_ms), len(feed.symbols), len(commands.tags))
    simulation = Simulation(market, build_rules(request, feed, first_bar), request.initial_balance)
    simulation.play(rows, len(rows), simulation.n_bars - 1)
    return simulation.result(commands.tags)


def check_commands(rows: Rows, first_bar: int, n_bars: int, n_symbols: int, n_tags: int) -> None:
    """The kernels index by what a command says; nothing out of range may reach them."""
    if not len(rows):
        return
    is_submit, is_close = rows["kind"] == CommandKind.SUBMIT, rows["kind"] == CommandKind.CLOSE_POSITION
    is_order = is_submit | is_close | (rows["kind"] == CommandKind.TARGET)
    size, leverage = rows["size"], rows["leverage"]
    most = np.where(is_close, 100.0, np.where(rows["size_kind"] == SizeKind.EQUITY_RATIO, 1.0, np.inf))
    checks = {
        "bar": (rows["i_bar"] >= first_bar) & (rows["i_bar"] < n_bars) & (np.diff(rows["i_bar"], prepend=0) >= 0),
        "kind": np.isin(rows["kind"], _PLAYED),
        "symbol": (rows["i_symbol"] >= np.where(is_order, 0, -1)) & (rows["i_symbol"] < n_symbols),
        "side": ~is_submit | np.isin(rows["side"], (1, -1)),
        "size kind": ~is_submit | np.isin(rows["size_kind"], (SizeKind.QTY, SizeKind.NOTIONAL, SizeKind.EQUITY_RATIO)),
        "target": (rows["kind"] != CommandKind.TARGET) | np.isin(rows["size_kind"], _TARGETS),
        "size": ~is_order | (np.isfinite(size) & ~((is_submit | is_close) & ~((size > 0.0) & (size <= most)))),
        "leverage": np.isnan(leverage) | ((leverage >= 1.0) & np.isfinite(leverage)),
        "price": np.all([np.isnan(rows[name]) for name in _PRICES], axis=0),
        "term": ~rows["is_post_only"] & (rows["good_for_bars"] == 0),
        "tag": (rows["i_tag"] >= -1) & (rows["i_tag"] < n_tags),
    }
    for name, is_good in checks.items():
        if not bool(np.all(is_good)):
            raise IntegrityError(f"Command {int(np.argmin(is_good))} of the order log has an impossible {name}.")
