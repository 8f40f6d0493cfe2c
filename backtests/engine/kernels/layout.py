"""How the rows lie that only kernels read and write. Those that are stored are in rows.py."""

import numpy as np

FUNDING_EVENT = np.dtype(
    [
        ("time_ms", "i8"),
        ("i_fine", "i8"),  # the finest bar at whose open it is charged
        ("is_late", "?"),  # stamped inside that bar: after the orders at its open
        ("i_symbol", "i8"),
        ("rate", "f8"),
        ("mark_price", "f8"),
    ]
)

RUN_RULES = np.dtype(
    [
        ("first_bar", "i8"),
        ("timeframe_ms", "i8"),
        ("is_spot", "?"),
        ("is_cross", "?"),
        ("fills_at_close", "?"),
        ("fills_through", "?"),  # a limit fills only where the price goes beyond it
        ("is_optimistic", "?"),
        ("is_listening", "?"),  # keep a list of events for the hooks
        ("leverage", "f8"),
        ("max_leverage", "f8"),
        ("maker_fee", "f8"),
        ("taker_fee", "f8"),
        ("slippage_ratio", "f8"),
        ("participation_cap", "f8"),  # share of a finest bar's volume; infinite where there is none
    ]
)

SYMBOL_RULES = np.dtype(
    [
        ("tick_numerator", "f8"),  # tick = numerator / denominator, one of them 1 where that is exact:
        ("tick_denominator", "f8"),  # 3 / 10 is 0.3, 3 * 0.1 is not. A numerator of 0: prices are not rounded
        ("step_numerator", "f8"),  # the same for the step
        ("step_denominator", "f8"),
        ("min_qty", "f8"),
        ("min_notional", "f8"),
        ("liquidation_fee_rate", "f8"),
        ("n_tiers", "i8"),
    ]
)

TIER = np.dtype(
    [("floor", "f8"), ("cap", "f8"), ("maintenance_rate", "f8"), ("max_leverage", "f8"), ("cumulative", "f8")]
)

ACCOUNT = np.dtype(
    [
        ("wallet_balance", "f8"),
        ("i_bar", "i8"),  # the step whose events are done; its equity row is not yet written
        ("is_ruined", "?"),
        ("is_finished", "?"),
        ("n_open", "i8"),  # open positions
        ("n_waiting", "i8"),
        ("waits_for_open", "?"),  # any order that waits for an open with trades
        ("next_expiry", "i8"),  # the first step at whose close an order's time is over
        ("last_refusal", "i8"),  # Reason: why the last change of an order was refused
        ("n_ambiguous", "i8"),  # finest bars
        ("n_commands", "i8"),  # played so far
        ("n_orders", "i8"),
        ("n_fills", "i8"),
        ("n_trades", "i8"),
        ("n_funding", "i8"),
        ("n_liquidations", "i8"),
        ("n_equity", "i8"),
        ("n_events", "i8"),
        ("balance", "f8"),  # where no rows are kept: the margin balance at the last close,
        ("peak_balance", "f8"),  # the highest so far, the initial one included,
        ("max_drawdown", "f8"),  # and the deepest fraction below it, <= 0
        ("i_next_funding", "i8"),
        ("fees", "f8"),  # in a sweep: of the rows that were written over (kernels/targets.py),
        ("funding", "f8"),  # positive = received
        ("n_rejected", "i8"),  # and how many there were of each kind
        ("n_past_orders", "i8"),
        ("n_past_fills", "i8"),
        ("n_past_trades", "i8"),
    ],
    align=True,  # so that memoryviews read single fields
)

POSITION = np.dtype(
    [
        ("steps", "i8"),  # signed
        ("qty", "f8"),  # signed, steps as a quantity
        ("entry_price", "f8"),
        ("initial_margin", "f8"),  # brought by the fills, released pro rata
        ("isolated_wallet", "f8"),  # the initial margin, moved by funding
        ("liquidation_level", "f8"),  # a long goes at or below it, a short at or above
        ("mark", "f8"),  # where the mark price stands now
        ("i_trade", "i8"),
        ("is_low_first", "?"),  # the way through the bar that is being walked
        ("wake_low", "f8"),  # an order may fill where the last price comes down to here,
        ("wake_high", "f8"),  # or up to here
        ("i_fine_traded", "i8"),  # the finest bar for which
        ("room", "i8"),  # so many steps may still trade
    ],
    align=True,  # so that memoryviews read single fields
)

WAITING = np.dtype(
    [
        ("i_order", "i8"),
        ("i_symbol", "i8"),
        ("phase", "i8"),
        ("direction", "i8"),  # the price comes down (-1) or up (+1) to the level
        ("level", "f8"),
        ("steps", "i8"),  # still to trade; UNRESOLVED until the size is settled
        ("filled", "i8"),  # steps
        ("opened", "i8"),  # steps of an entry that opened: of this order, or of the one it is attached to
        ("closed", "i8"),  # steps of the entry that its attached orders have closed
        ("i_parent", "i8"),  # the entry it is attached to; -1 none
        ("best", "f8"),  # price since the entry's fill, of a trailing stop
        ("last_bar", "i8"),  # the step at whose close its time is over
    ],
    align=True,
)

UNRESOLVED = -2  # steps of an order whose size is settled at its fill

EVENT = np.dtype([("kind", "i8"), ("i_row", "i8")])


SIZES = np.dtype(
    [
        ("n_symbols", "i8"),
        ("n_steps", "i8"),
        ("n_fine", "i8"),
        ("n_funding", "i8"),  # stamps
        ("n_tiers", "i8"),  # rows of the tiers table for each symbol
        ("n_idle", "i8"),  # finest bars without trades, of all symbols
        ("is_regular", "i8"),  # the steps are known to follow each other without a hole,
        ("first_ms", "i8"),  # from this one on
        ("lowest_mark", "f8"),  # of all marks of all symbols
        ("highest_mark", "f8"),
        ("most_orders", "i8"),  # rows that the tables can hold
        ("most_fills", "i8"),
        ("most_trades", "i8"),
        ("most_liquidations", "i8"),
        ("most_equity", "i8"),
        ("most_events", "i8"),
        ("most_waiting", "i8"),
    ]
)
