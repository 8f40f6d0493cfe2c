"""A command of a strategy in words, for people who look for it in their source."""

import numpy as np

from backtests.engine.kernels.types import CommandKind, SizeKind
from backtests.engine.result import CommandLog

_SIZES = {
    SizeKind.QTY: "{:.10g} units",
    SizeKind.NOTIONAL: "for {:.10g}",
    SizeKind.EQUITY_RATIO: "{:.10g} of the equity",
    SizeKind.TARGET_RATIO: "{:.10g} of the equity",
    SizeKind.TARGET_QTY: "{:.10g} units",
    SizeKind.TARGET_NOTIONAL: "worth {:.10g}",
}
_DETAILS = (
    ("limit_price", "limit {:.10g}"),
    ("stop_price", "stop {:.10g}"),
    ("stop_loss", "stop-loss {:.10g}"),
    ("take_profit", "take-profit {:.10g}"),
    ("trailing_ratio", "trailing {:.10g}"),
    ("leverage", "at {:g}x"),
)


def describe_command(log: CommandLog, row: np.void) -> str:
    """One row of the log, such as `buy 0.95 of the equity, stop-loss 61250, at 3x`. The row has been checked."""
    words = [_describe_act(row)]
    words += [text.format(row[name]) for name, text in _DETAILS if not np.isnan(row[name])]
    if row["is_reduce_only"]:
        words.append("reduce-only")
    if row["is_post_only"]:
        words.append("post-only")
    if row["i_tag"] >= 0:
        words.append(f"tag {log.tags[row['i_tag']]!r}")
    return ", ".join(words)


def _describe_act(row: np.void) -> str:
    kind = CommandKind(row["kind"])
    match kind:
        case CommandKind.SUBMIT:
            return f"{'buy' if row['side'] > 0 else 'sell'} {_describe_size(row)}"
        case CommandKind.TARGET:
            return f"target {_describe_size(row)}"
        case CommandKind.CLOSE_POSITION:
            return f"close {row['size']:g} % of the position"
        case CommandKind.ATTACH_TAKE_PROFIT:
            return f"take-profit for {row['size']:g} of the entry"
        case CommandKind.CANCEL | CommandKind.MODIFY:
            return f"{kind.name.lower()} order {row['order_id']}"
        case _:
            return kind.name.lower().replace("_", " ")


def _describe_size(row: np.void) -> str:
    return _SIZES.get(row["size_kind"], "{:.10g}").format(row["size"])
