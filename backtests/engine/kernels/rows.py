"""Every stored row of the engine, declared once.

Money is in quote currency, quantities in base units, times int64 UTC ms. NaN means "not given". Kernels count
quantities as int64 steps; these rows hold the float quantity = steps x step_size.
"""

import numpy as np

COMMAND = np.dtype(
    [
        ("i_bar", "i8"),
        ("seq", "i8"),  # order of the calls within the run, from 0
        ("kind", "i1"),
        ("i_symbol", "i4"),  # -1: all symbols
        ("order_id", "i8"),  # the id that a SUBMIT creates, or the one that CANCEL and MODIFY mean
        ("side", "i1"),  # +1 buy, -1 sell
        ("size_kind", "i1"),
        ("size", "f8"),
        ("limit_price", "f8"),
        ("stop_price", "f8"),
        ("stop_loss", "f8"),
        ("take_profit", "f8"),
        ("trailing_ratio", "f8"),
        ("leverage", "f8"),
        ("is_reduce_only", "?"),
        ("is_post_only", "?"),
        ("good_for_bars", "i4"),  # 0: until cancelled
        ("i_tag", "i4"),  # index into the log's tags; -1 none
    ]
)

ORDER = np.dtype(
    [
        ("order_id", "i8"),
        ("parent_id", "i8"),  # the entry that an attached order belongs to; -1 none
        ("i_bar", "i8"),  # submitted at the close of this bar
        ("time_ms", "i8"),
        ("i_symbol", "i4"),
        ("side", "i1"),
        ("kind", "i1"),
        ("size_kind", "i1"),
        ("size", "f8"),
        ("qty", "f8"),  # resolved; NaN until then
        ("limit_price", "f8"),
        ("stop_price", "f8"),  # the trigger of stops, take-profits and, where it stands now, of a trailing stop
        ("trailing_ratio", "f8"),
        ("share", "f8"),  # of its entry, that a take-profit closes; NaN for other orders
        ("leverage", "f8"),
        ("is_reduce_only", "?"),
        ("is_post_only", "?"),
        ("good_for_bars", "i4"),  # 0: until cancelled
        ("status", "i1"),
        ("reason", "i1"),
        ("filled_qty", "f8"),
        ("average_price", "f8"),
        ("i_bar_done", "i8"),  # -1 while it waits
        ("i_tag", "i4"),
    ]
)

FILL = np.dtype(
    [
        ("fill_id", "i8"),
        ("order_id", "i8"),
        ("trade_id", "i8"),
        ("i_bar", "i8"),
        ("time_ms", "i8"),  # open of the bar for fills at the open or on the path, its close for fills at the close
        ("i_symbol", "i4"),
        ("side", "i1"),
        ("kind", "i1"),  # OrderKind
        ("qty", "f8"),
        ("price", "f8"),
        ("fee", "f8"),
        ("is_maker", "?"),
        ("slippage", "f8"),  # cash lost to it, >= 0
        ("realised_pnl", "f8"),  # gross
        ("leverage", "f8"),
        ("initial_margin", "f8"),  # brought (+) or released (-)
        ("position_qty", "f8"),  # after
        ("entry_price", "f8"),  # after; NaN when flat
        ("covered", "f8"),  # the part of a loss beyond the margin, >= 0, borne by the insurance fund
        ("wallet_balance", "f8"),  # after; the sum over fills of realised_pnl - fee + covered moves it, and funding
    ]
)

TRADE = np.dtype(
    [
        ("trade_id", "i8"),
        ("i_symbol", "i4"),
        ("side", "i1"),
        ("i_bar_entry", "i8"),
        ("i_bar_exit", "i8"),  # -1 while open
        ("entry_ms", "i8"),
        ("exit_ms", "i8"),  # -1 while open
        ("qty", "f8"),  # total opened
        ("entry_price", "f8"),  # qty-weighted over all entries
        ("exit_price", "f8"),  # qty-weighted over all exits; NaN while nothing is closed
        ("closed_qty", "f8"),  # so far
        ("leverage", "f8"),  # at the opening fill
        ("initial_margin", "f8"),  # brought in all
        ("gross_pnl", "f8"),  # realised, before fees and funding; without the liquidation loss
        ("fees", "f8"),
        ("funding", "f8"),  # signed cash, positive = received
        ("liquidation_loss", "f8"),  # >= 0, unless funding had eaten the margin of a winning position
        ("covered", "f8"),  # of losses on reducing fills; what a liquidation leaves uncovered is in its own row
        ("pnl", "f8"),  # gross_pnl - fees + funding - liquidation_loss + covered
        ("mae", "f8"),  # worst unrealised PnL, <= 0
        ("mfe", "f8"),  # best unrealised PnL, >= 0
        ("n_fills", "i4"),
        ("exit_reason", "i1"),
        ("is_ambiguous", "?"),  # in a bar of it, exchanging the extremes would have given other fills
        ("i_tag", "i4"),  # of the entry
    ]
)

EQUITY = np.dtype(
    [
        ("time_ms", "i8"),  # the close of the bar = its open + timeframe
        ("wallet_balance", "f8"),
        ("unrealised_pnl", "f8"),
        ("margin_balance", "f8"),
        ("position_qty", "f8"),  # of the primary symbol, signed
        ("exposure", "f8"),  # signed notional of all positions / margin balance
        ("margin_ratio", "f8"),
    ]
)

FUNDING = np.dtype(
    [
        ("time_ms", "i8"),
        ("i_bar", "i8"),
        ("i_symbol", "i4"),
        ("trade_id", "i8"),
        ("position_qty", "f8"),
        ("mark_price", "f8"),
        ("rate", "f8"),
        ("payment", "f8"),  # positive = received
    ]
)

LIQUIDATION = np.dtype(
    [
        ("i_bar", "i8"),
        ("time_ms", "i8"),
        ("i_symbol", "i4"),
        ("trade_id", "i8"),
        ("position_qty", "f8"),
        ("entry_price", "f8"),
        ("liquidation_price", "f8"),
        ("price", "f8"),  # at which it closed
        ("margin_wallet", "f8"),  # isolated: the position's isolated wallet; cross: the account's wallet
        ("unrealised_pnl", "f8"),
        ("maintenance_margin", "f8"),
        ("i_tier", "i4"),
        ("fee", "f8"),
        ("loss", "f8"),  # wallet change with its sign turned
        ("covered", "f8"),  # loss beyond the wallet, borne by the insurance fund
        ("mark_open", "f8"),  # the bar that did it
        ("mark_high", "f8"),
        ("mark_low", "f8"),
        ("mark_close", "f8"),
    ]
)
