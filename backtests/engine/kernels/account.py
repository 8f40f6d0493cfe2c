"""Balances: what the wallet holds, what of it is bound, what it is worth at the marks."""

from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.state import Row, Sim
from backtests.engine.kernels.tables import row_of


@kernel
def unrealised_pnl(position: Row) -> float:
    """Side x qty x (mark - entry), at the mark where the position stands now."""
    if position["steps"] == 0:
        return 0.0
    return float(position["qty"] * (position["mark"] - position["entry_price"]))


@kernel
def total_unrealised_pnl(sim: Sim) -> float:
    total = 0.0
    for i_symbol in range(sim.sizes["n_symbols"]):
        total += unrealised_pnl(row_of(sim.positions, i_symbol))
    return total


@kernel
def margin_balance(sim: Sim) -> float:
    """Equity: wallet balance + unrealised PnL."""
    return float(sim.account["wallet_balance"] + total_unrealised_pnl(sim))


@kernel
def bound_margin(sim: Sim) -> float:
    """Isolated: the isolated wallets of all positions. Cross: |qty| x mark / leverage of each."""
    bound = 0.0
    for i_symbol in range(sim.sizes["n_symbols"]):
        position = row_of(sim.positions, i_symbol)
        bound += position["isolated_wallet"]
        if position["steps"] != 0 and sim.rules.run["is_cross"]:
            bound += position["initial_margin"] * position["mark"] / position["entry_price"]
    return bound


@kernel
def available_balance(sim: Sim) -> float:
    """What new entries may use. Under cross margin unrealised PnL counts, too, and it is never below zero."""
    if sim.rules.run["is_cross"]:
        return max(0.0, margin_balance(sim) - bound_margin(sim))
    return float(sim.account["wallet_balance"] - bound_margin(sim))


@kernel
def margin_wallet(sim: Sim, i_symbol: int) -> float:
    """What bears the losses of a position: its isolated wallet, under cross margin the account's wallet."""
    if sim.rules.run["is_cross"]:
        return float(sim.account["wallet_balance"])
    return float(row_of(sim.positions, i_symbol)["isolated_wallet"])


@kernel
def bearable_loss(sim: Sim, i_symbol: int, share: float) -> float:
    """The most that closing a share of a position may cost, fee included; what goes beyond is covered.

    Isolated: the margin of the closed part and the available balance. Cross: the wallet.
    """
    if sim.rules.run["is_cross"]:
        return float(sim.account["wallet_balance"])
    return float(row_of(sim.positions, i_symbol)["isolated_wallet"] * share + available_balance(sim))


@kernel
def change_wallet(sim: Sim, change: float) -> None:
    """Book cash. The wallet is never negative: what it cannot bear was covered before, to the last rounding."""
    sim.account["wallet_balance"] = max(sim.account["wallet_balance"] + change, 0.0)


@kernel
def note_ruin(sim: Sim) -> None:
    """An account without equity cannot come back: nothing pays in."""
    if not margin_balance(sim) > 0.0:
        sim.account["is_ruined"] = True
