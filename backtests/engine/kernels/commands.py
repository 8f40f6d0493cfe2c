"""What the strategy asked for, played at the close of its step."""

from backtests.engine.kernels.account import note_ruin
from backtests.engine.kernels.bars import set_marks_at_close
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.fees import slip
from backtests.engine.kernels.matching import end_refused, fill_market
from backtests.engine.kernels.orders import append_order, cancel_waiting, drop_ended, end_order, find_refusal, wait
from backtests.engine.kernels.sizes import resolve_steps
from backtests.engine.kernels.state import Moment, Row, Sim
from backtests.engine.kernels.types import CommandKind, OrderStatus, Reason


@kernel
def play_command(sim: Sim, command: Row) -> None:
    """One command at the close of the step on which the account stands."""
    i_bar = sim.account["i_bar"]
    i_fine = sim.market.first_fine[i_bar + 1] - 1
    moment = Moment(i_bar, i_fine, sim.market.step_ms[i_bar] + sim.rules.run["timeframe_ms"])
    kind = command["kind"]
    if kind == CommandKind.CANCEL:
        cancel_order(sim, moment, command["order_id"])
    elif kind == CommandKind.CANCEL_ALL:
        cancel_waiting(sim, moment, command["i_symbol"], OrderStatus.CANCELLED, Reason.BY_STRATEGY)
    else:
        set_marks_at_close(sim, i_fine)
        place_order(sim, moment, command)
        note_ruin(sim)


@kernel
def cancel_order(sim: Sim, moment: Moment, i_order: int) -> None:
    """Cancel a waiting order; anything else stays as it is."""
    if 0 <= i_order < sim.account["n_orders"] and sim.books.orders[i_order]["status"] <= OrderStatus.PARTLY_FILLED:
        end_order(sim, moment, i_order, OrderStatus.CANCELLED, Reason.BY_STRATEGY)
        drop_ended(sim)


@kernel
def place_order(sim: Sim, moment: Moment, command: Row) -> None:
    """Under `close` a market order fills here; without a bar with trades, or under `next_open`, it waits."""
    i_order = append_order(sim, moment, command)
    if sim.account["is_ruined"]:
        end_order(sim, moment, i_order, OrderStatus.REJECTED, Reason.RUINED)
        return
    i_symbol = command["i_symbol"]
    close = sim.market.last[i_symbol, moment.i_fine]["close"]
    if sim.rules.run["fills_at_close"] and is_traded(sim, moment.i_bar, i_symbol):
        fill_market(sim, moment, i_order, close)
        return
    refusal = find_early_refusal(sim, i_order, close)
    if refusal == Reason.NONE:
        wait(sim, i_order)
    else:
        end_refused(sim, moment, i_order, refusal)


@kernel
def find_early_refusal(sim: Sim, i_order: int, close: float) -> Reason:
    """What is wrong already at submission, judged at the last close. Before a symbol's first bar nothing is known."""
    order = sim.books.orders[i_order]
    if not close > 0.0:
        return Reason.NONE
    steps = resolve_steps(sim, order, close)
    return find_refusal(sim, order, steps, slip(close, order["side"], sim.rules.run["slippage_ratio"]))


@kernel
def is_traded(sim: Sim, i_bar: int, i_symbol: int) -> bool:
    for i_fine in range(sim.market.first_fine[i_bar], sim.market.first_fine[i_bar + 1]):
        if sim.market.last[i_symbol, i_fine]["volume"] > 0.0:
            return True
    return False
