"""The equity row of a step, and what the trades saw of it."""

from backtests.engine.kernels.account import margin_balance, total_unrealised_pnl
from backtests.engine.kernels.bars import price_on_path, set_marks_at_close
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.margin import margin_ratio
from backtests.engine.kernels.state import Sim
from backtests.engine.kernels.trades import note_price


@kernel
def write_equity_row(sim: Sim, i_bar: int) -> None:
    """The account at the close of the step, after what the strategy did there."""
    account = sim.account
    row = sim.books.equity[account["n_equity"]]
    account["n_equity"] += 1
    row["time_ms"] = sim.market.step_ms[i_bar] + sim.rules.run["timeframe_ms"]
    row["wallet_balance"] = account["wallet_balance"]
    row["margin_balance"] = account["wallet_balance"]
    if account["n_open"] == 0:
        return
    set_marks_at_close(sim, sim.market.first_fine[i_bar + 1] - 1)
    balance = margin_balance(sim)
    row["unrealised_pnl"] = total_unrealised_pnl(sim)
    row["margin_balance"] = balance
    row["position_qty"] = sim.positions[0]["qty"]
    row["exposure"] = total_notional(sim) / balance if balance > 0.0 else 0.0
    row["margin_ratio"] = margin_ratio(sim)


@kernel
def total_notional(sim: Sim) -> float:
    """Signed, at the marks."""
    total = 0.0
    for i_symbol in range(sim.positions.shape[0]):
        position = sim.positions[i_symbol]
        if position["steps"] != 0:
            total += position["qty"] * position["mark"]
    return total


@kernel
def note_marks(sim: Sim) -> None:
    """Every open trade saw the mark where it stands now."""
    for i_symbol in range(sim.positions.shape[0]):
        note_price(sim, i_symbol, sim.positions[i_symbol]["mark"])


@kernel
def note_whole_bar(sim: Sim, i_fine: int) -> None:
    """Every open trade saw the bar's extremes."""
    for i_symbol in range(sim.positions.shape[0]):
        if sim.positions[i_symbol]["steps"] != 0:
            bar = sim.market.mark[i_symbol, i_fine]
            note_price(sim, i_symbol, bar["low"])
            note_price(sim, i_symbol, bar["high"])


@kernel
def note_path(sim: Sim, i_fine: int, from_clock: float, to_clock: float) -> None:
    """Every open trade saw the way between two times of the bar."""
    for i_symbol in range(sim.positions.shape[0]):
        position = sim.positions[i_symbol]
        if position["steps"] == 0:
            continue
        bar = sim.market.mark[i_symbol, i_fine]
        note_price(sim, i_symbol, price_on_path(bar, position["is_low_first"], from_clock))
        for i_knot in range(int(from_clock) + 1, int(to_clock) + 1):
            note_price(sim, i_symbol, price_on_path(bar, position["is_low_first"], float(i_knot)))
        note_price(sim, i_symbol, price_on_path(bar, position["is_low_first"], to_clock))
