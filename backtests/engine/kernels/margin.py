"""Margin tiers, maintenance margin and the liquidation price."""

from backtests.engine.kernels.account import margin_wallet, unrealised_pnl
from backtests.engine.kernels.compiler import entry_kernel, kernel
from backtests.engine.kernels.state import Row, Rows, Sim, tiers_of
from backtests.engine.kernels.tables import first_row, row_of


@kernel
def find_tier(tiers: Rows, n_tiers: int, notional: float) -> int:
    """The last tier whose floor the notional reaches; the last one is open-ended."""
    i_tier = 0
    while i_tier + 1 < n_tiers and notional >= row_of(tiers, i_tier + 1)["floor"]:
        i_tier += 1
    return i_tier


@entry_kernel
def maintenance_by(tiers: Rows, notional: float) -> float:
    """As maintenance_of, for Python: with an array of tiers."""
    return maintenance_of(first_row(tiers), tiers.shape[0], notional)


@kernel
def maintenance_of(tiers: Rows, n_tiers: int, notional: float) -> float:
    """Maintenance margin = notional x rate - cumulative amount."""
    if n_tiers == 0:
        return 0.0
    tier = row_of(tiers, find_tier(tiers, n_tiers, notional))
    return float(notional * tier["maintenance_rate"] - tier["cumulative"])


@entry_kernel
def liquidation_level_by(side: int, qty: float, entry_price: float, balance: float, tiers: Rows) -> float:
    """As liquidation_level, for Python: with an array of tiers."""
    return liquidation_level(side, qty, entry_price, balance, first_row(tiers), tiers.shape[0])


@kernel
def liquidation_level(side: int, qty: float, entry_price: float, balance: float, tiers: Rows, n_tiers: int) -> float:
    """The mark at which margin balance = maintenance margin: a long is due at or below it, a short at or above.

    `balance` is wallet balance - other positions' maintenance margin + their unrealised PnL. The formula is taken
    for every tier, and the worst of them counts: maintenance margin is the largest of the tiers' lines, so the true
    level is the first that any of them gives. Looking for the tier that contains the result fails at the edges.
    """
    level = 0.0
    for i_tier in range(n_tiers):
        tier = row_of(tiers, i_tier)
        rate = tier["maintenance_rate"]
        numerator = balance + tier["cumulative"] - side * qty * entry_price
        at_tier = numerator / (qty * rate - side * qty)
        if i_tier == 0 or (at_tier - level) * side > 0.0:
            level = at_tier
    return level


@kernel
def position_maintenance(sim: Sim, i_symbol: int) -> float:
    """Maintenance margin of a position at its mark."""
    position = row_of(sim.positions, i_symbol)
    if position["steps"] == 0:
        return 0.0
    notional = abs(position["qty"]) * position["mark"]
    return maintenance_of(tiers_of(sim, i_symbol), row_of(sim.rules.symbols, i_symbol)["n_tiers"], notional)


@kernel
def highest_tier(sim: Sim, i_symbol: int, notional: float) -> int:
    """The tier whose line is the highest at this notional: the one that holds it, to the rounding of the tables."""
    tiers = tiers_of(sim, i_symbol)
    highest = 0
    most = notional * row_of(tiers, 0)["maintenance_rate"] - row_of(tiers, 0)["cumulative"]
    for i_tier in range(1, row_of(sim.rules.symbols, i_symbol)["n_tiers"]):
        margin = notional * row_of(tiers, i_tier)["maintenance_rate"] - row_of(tiers, i_tier)["cumulative"]
        if margin > most:
            highest, most = i_tier, margin
    return highest


@kernel
def position_excess(sim: Sim, i_symbol: int, mark: float) -> float:
    """Unrealised PnL - maintenance margin at a mark; 0 when flat. It grows with a long's mark, falls with a short's.

    Maintenance margin is the largest of the tiers' lines here, as in `liquidation_level`: so this is concave.
    """
    position = row_of(sim.positions, i_symbol)
    if position["steps"] == 0:
        return 0.0
    notional = abs(position["qty"]) * mark
    tier = row_of(tiers_of(sim, i_symbol), highest_tier(sim, i_symbol, notional))
    pnl = position["qty"] * (mark - position["entry_price"])
    return float(pnl - (notional * tier["maintenance_rate"] - tier["cumulative"]))


@kernel
def level_of(sim: Sim, i_symbol: int) -> float:
    """The liquidation level of a position; under cross margin with the others at their present marks. 0 when flat."""
    position = row_of(sim.positions, i_symbol)
    if position["steps"] == 0 or sim.rules.run["is_spot"]:
        return 0.0
    balance = margin_wallet(sim, i_symbol)
    if sim.rules.run["is_cross"]:
        for i_other in range(sim.sizes["n_symbols"]):
            if i_other != i_symbol:
                balance += position_excess(sim, i_other, row_of(sim.positions, i_other)["mark"])
    return liquidation_level(
        1 if position["steps"] > 0 else -1,
        abs(position["qty"]),
        position["entry_price"],
        balance,
        tiers_of(sim, i_symbol),
        row_of(sim.rules.symbols, i_symbol)["n_tiers"],
    )


@kernel
def refresh_liquidation_level(sim: Sim, i_symbol: int) -> None:
    """After every change of a position or of the wallet that bears it. Under cross margin that moves all levels."""
    first, end = i_symbol, i_symbol + 1
    if sim.rules.run["is_cross"]:
        first, end = 0, sim.sizes["n_symbols"]
    for i_moved in range(first, end):
        row_of(sim.positions, i_moved)["liquidation_level"] = level_of(sim, i_moved)


@kernel
def is_due(position: Row, mark: float) -> bool:
    """Whether the position is liquidated at this mark. Equal counts: margin balance <= maintenance margin."""
    steps = position["steps"]
    level = position["liquidation_level"]
    return bool((steps > 0 and mark <= level) or (steps < 0 and mark >= level))


@kernel
def margin_ratio(sim: Sim) -> float:
    """Maintenance margin / margin balance. Isolated: the largest of the positions'. Cross: the account's.

    0 when flat or on spot, 1 where nothing is left. One loop for both, because a call to a kernel of its own costs half
    of what it takes to write an equity row.
    """
    largest = 0.0
    needed = 0.0
    balance = sim.account["wallet_balance"]
    for i_symbol in range(sim.sizes["n_symbols"]):
        position = row_of(sim.positions, i_symbol)
        if position["steps"] == 0 or sim.rules.run["is_spot"]:
            continue
        maintenance = position_maintenance(sim, i_symbol)
        pnl = unrealised_pnl(position)
        own = position["isolated_wallet"] + pnl
        largest = max(largest, maintenance / own if own > 0.0 else 1.0)
        needed += maintenance
        balance += pnl
    if not sim.rules.run["is_cross"] or sim.account["n_open"] == 0:
        return largest
    return needed / balance if balance > 0.0 else 1.0
