"""The equity row of a step, and what the trades saw of it."""

import numpy as np
from numpy.typing import NDArray

from backtests.engine.kernels.account import margin_balance, margin_wallet, total_unrealised_pnl
from backtests.engine.kernels.bars import price_on_path, set_marks_at_close
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.margin import maintenance_of, margin_ratio
from backtests.engine.kernels.state import Row, Sim, first_fine, mark_bar, tiers_of
from backtests.engine.kernels.tables import row_of, rows_from
from backtests.engine.kernels.trades import note_price

type Bits = NDArray[np.int64]


@kernel
def write_equity_row(sim: Sim, i_bar: int) -> None:
    """The account at the close of the step, after what the strategy did there."""
    if sim.account["n_open"] == 0:
        write_flat_rows(sim, i_bar, i_bar + 1)
        return
    set_marks_at_close(sim, first_fine(sim, i_bar + 1) - 1)
    balance = margin_balance(sim)
    if not keeps_rows(sim):
        note_balance(sim, balance, 1)
        return
    row = next_row(sim, i_bar)
    row["unrealised_pnl"] = total_unrealised_pnl(sim)
    row["margin_balance"] = balance
    row["position_qty"] = row_of(sim.positions, 0)["qty"]
    row["exposure"] = total_notional(sim) / balance if balance > 0.0 else 0.0
    row["margin_ratio"] = margin_ratio(sim)


@kernel
def write_flat_rows(sim: Sim, i_from: int, i_to: int) -> None:
    """Steps at whose closes nothing is held."""
    if not keeps_rows(sim):
        note_balance(sim, sim.account["wallet_balance"], i_to - i_from)
        return
    for i_bar in range(i_from, i_to):
        row = next_row(sim, i_bar)
        row["unrealised_pnl"] = 0.0
        row["margin_balance"] = sim.account["wallet_balance"]
        row["position_qty"] = 0.0
        row["exposure"] = 0.0
        row["margin_ratio"] = 0.0


@kernel
def write_plain_rows(sim: Sim, i_symbol: int, i_from: int, i_to: int) -> None:
    """Steps of one finest bar each, at whose closes this position is the only one.

    As write_equity_row, with everything that stays the same read before the loop: what is written to a row might, for
    all the compiler knows, change the position. Three times as fast.
    """
    if not keeps_rows(sim):
        note_plain_balances(sim, i_symbol, i_from, i_to)
        return
    account, position, equity = sim.account, row_of(sim.positions, i_symbol), sim.books.equity
    wallet, qty, entry_price = account["wallet_balance"], position["qty"], position["entry_price"]
    primary_qty = row_of(sim.positions, 0)["qty"]
    bearing = bearing_wallet(sim, i_symbol)
    tiers, n_tiers = tiers_of(sim, i_symbol), row_of(sim.rules.symbols, i_symbol)["n_tiers"]
    timeframe_ms = sim.rules.run["timeframe_ms"]
    closes = rows_from(sim.market.mark.close, i_symbol * sim.sizes["n_fine"])
    i_row = account["n_equity"] - i_from
    for i_bar in range(i_from, i_to):
        mark = closes[i_bar]
        pnl = 0.0 + qty * (mark - entry_price)
        row = row_of(equity, i_row + i_bar)
        row["time_ms"] = sim.market.step_ms[i_bar] + timeframe_ms
        row["wallet_balance"] = wallet
        row["unrealised_pnl"] = pnl
        row["margin_balance"] = wallet + pnl
        row["position_qty"] = primary_qty
        row["exposure"] = qty * mark / (wallet + pnl) if wallet + pnl > 0.0 else 0.0
        needed = maintenance_of(tiers, n_tiers, abs(qty) * mark)
        row["margin_ratio"] = max(0.0, needed / (bearing + pnl)) if bearing + pnl > 0.0 else 1.0
    account["n_equity"] += i_to - i_from


@kernel
def bearing_wallet(sim: Sim, i_symbol: int) -> float:
    """What maintenance margin is compared with, less the unrealised PnL; infinite on spot, where none is needed."""
    if sim.rules.run["is_spot"] and not sim.rules.run["is_cross"]:
        return np.inf
    return margin_wallet(sim, i_symbol)


@kernel
def keeps_rows(sim: Sim) -> bool:
    """A sweep has no table of equity: of each of its runs it wants a few numbers only."""
    return bool(sim.sizes["most_equity"] > 0)


@kernel
def note_balance(sim: Sim, balance: float, n_steps: int) -> None:
    """In place of so many rows with one margin balance."""
    if n_steps <= 0:
        return
    account = sim.account
    account["n_equity"] += n_steps
    account["balance"] = balance
    account["peak_balance"] = max(account["peak_balance"], balance)
    account["max_drawdown"] = min(account["max_drawdown"], balance / account["peak_balance"] - 1.0)


@kernel
def note_plain_balances(sim: Sim, i_symbol: int, i_from: int, i_to: int) -> None:
    """In place of write_plain_rows. The balance goes with the close: mostly its extremes say all that is asked."""
    if i_from >= i_to:
        return
    account, position = sim.account, row_of(sim.positions, i_symbol)
    wallet, qty, entry_price = account["wallet_balance"], position["qty"], position["entry_price"]
    closes = rows_from(sim.market.mark.close, i_symbol * sim.sizes["n_fine"])
    lowest, highest = extremes(rows_from(sim.market.mark_close_bits, i_symbol * sim.sizes["n_fine"]), i_from, i_to)
    best, worst = (highest, lowest) if qty > 0.0 else (lowest, highest)
    peak, least = account["peak_balance"], wallet + (0.0 + qty * (worst - entry_price))
    if wallet + (0.0 + qty * (best - entry_price)) > peak:
        least = np.inf  # since the last peak
        for i in range(i_from, i_to):
            balance = wallet + (0.0 + qty * (closes[i] - entry_price))
            if balance > peak:
                account["max_drawdown"] = min(account["max_drawdown"], least / peak - 1.0)
                peak, least = balance, balance
            else:
                least = min(least, balance)
    account["max_drawdown"] = min(account["max_drawdown"], least / peak - 1.0)
    account["peak_balance"] = peak
    account["n_equity"] += i_to - i_from
    account["balance"] = wallet + (0.0 + qty * (closes[i_to - 1] - entry_price))


@kernel
def extremes(bits: Bits, i_from: int, i_to: int) -> tuple[float, float]:
    """The lowest and the highest price of at least one bar.

    Seen as integers, prices above 0 have the same order, and are compared eight at a time: for floats the compiler
    would have to keep an order that only NaN and -0 have a use for.
    """
    lowest, highest = bits[i_from], bits[i_from]
    for i in range(i_from + 1, i_to):
        lowest, highest = min(lowest, bits[i]), max(highest, bits[i])
    low, high = np.int64(lowest), np.int64(highest)
    return low.view(np.float64), high.view(np.float64)


@kernel
def next_row(sim: Sim, i_bar: int) -> Row:
    """The row of the step, of which the time and the wallet are written."""
    account = sim.account
    row = row_of(sim.books.equity, account["n_equity"])
    account["n_equity"] += 1
    row["time_ms"] = sim.market.step_ms[i_bar] + sim.rules.run["timeframe_ms"]
    row["wallet_balance"] = account["wallet_balance"]
    return row


@kernel
def total_notional(sim: Sim) -> float:
    """Signed, at the marks."""
    total = 0.0
    for i_symbol in range(sim.sizes["n_symbols"]):
        position = row_of(sim.positions, i_symbol)
        if position["steps"] != 0:
            total += position["qty"] * position["mark"]
    return total


@kernel
def note_marks(sim: Sim) -> None:
    """Every open trade saw the mark where it stands now."""
    for i_symbol in range(sim.sizes["n_symbols"]):
        note_price(sim, i_symbol, row_of(sim.positions, i_symbol)["mark"])


@kernel
def note_whole_bar(sim: Sim, i_fine: int) -> None:
    """Every open trade saw the bar's extremes."""
    for i_symbol in range(sim.sizes["n_symbols"]):
        if row_of(sim.positions, i_symbol)["steps"] != 0:
            bar = mark_bar(sim, i_symbol, i_fine)
            note_price(sim, i_symbol, bar.low)
            note_price(sim, i_symbol, bar.high)


@kernel
def note_path(sim: Sim, i_fine: int, from_clock: float, to_clock: float) -> None:
    """Every open trade saw the way between two times of the bar."""
    for i_symbol in range(sim.sizes["n_symbols"]):
        position = row_of(sim.positions, i_symbol)
        if position["steps"] == 0:
            continue
        bar = mark_bar(sim, i_symbol, i_fine)
        note_price(sim, i_symbol, price_on_path(bar, position["is_low_first"], from_clock))
        for i_knot in range(int(from_clock) + 1, int(to_clock) + 1):
            note_price(sim, i_symbol, price_on_path(bar, position["is_low_first"], float(i_knot)))
        note_price(sim, i_symbol, price_on_path(bar, position["is_low_first"], to_clock))
