"""Funding: paid by the position at each stamp."""

from backtests.engine.kernels.account import change_wallet, margin_wallet
from backtests.engine.kernels.compiler import entry_kernel, kernel
from backtests.engine.kernels.events import emit
from backtests.engine.kernels.liquidation import liquidate_if_due
from backtests.engine.kernels.margin import refresh_liquidation_level
from backtests.engine.kernels.state import Moment, Row, Sim
from backtests.engine.kernels.tables import row_of
from backtests.engine.kernels.trades import sum_trade
from backtests.engine.kernels.types import EventKind


@entry_kernel
def payment_of(position_qty: float, mark_price: float, rate: float) -> float:
    """Signed cash, positive = received: a long pays a positive rate."""
    return -position_qty * mark_price * rate


@kernel
def skip_funding(sim: Sim, i_next: int, i_fine: int) -> int:
    """The first stamp, from i_next on, that does not belong to a bar before this one."""
    while i_next < sim.sizes["n_funding"] and row_of(sim.market.funding, i_next)["i_fine"] < i_fine:
        i_next += 1
    return i_next


@kernel
def charge_funding(sim: Sim, moment: Moment, is_late: bool) -> None:
    """Charge the stamps of this bar: those at its open before any order, later ones after the orders at its open."""
    account = sim.account
    while account["i_next_funding"] < sim.sizes["n_funding"]:
        event = row_of(sim.market.funding, account["i_next_funding"])
        if event["i_fine"] > moment.i_fine or (event["is_late"] and not is_late):
            return
        account["i_next_funding"] += 1
        if row_of(sim.positions, event["i_symbol"])["steps"] != 0:
            charge(sim, moment, event)


@kernel
def charge(sim: Sim, moment: Moment, event: Row) -> None:
    """Move the wallet that bears the position, by at most all of it, and see at once whether it can live on."""
    i_symbol = event["i_symbol"]
    position = row_of(sim.positions, i_symbol)
    payment = payment_of(position["qty"], event["mark_price"], event["rate"])
    payment = max(payment, -margin_wallet(sim, i_symbol))
    if not sim.rules.run["is_cross"]:
        position["isolated_wallet"] += payment
    change_wallet(sim, payment)
    refresh_liquidation_level(sim, i_symbol)
    trade = row_of(sim.books.trades, position["i_trade"])
    trade["funding"] += payment
    sum_trade(trade)
    append_payment(sim, moment, event, payment)
    liquidate_if_due(sim, moment, i_symbol)


@kernel
def append_payment(sim: Sim, moment: Moment, event: Row, payment: float) -> None:
    account = sim.account
    position = row_of(sim.positions, event["i_symbol"])
    row = row_of(sim.books.funding, account["n_funding"])
    row["time_ms"] = event["time_ms"]
    row["i_bar"] = moment.i_bar
    row["i_symbol"] = event["i_symbol"]
    row["trade_id"] = position["i_trade"]
    row["position_qty"] = position["qty"]
    row["mark_price"] = event["mark_price"]
    row["rate"] = event["rate"]
    row["payment"] = payment
    emit(sim, EventKind.FUNDING, account["n_funding"])
    account["n_funding"] += 1
