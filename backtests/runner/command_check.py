"""Whether a command log is one that a strategy's calls can have made. The kernels do not test what they index."""

import numpy as np
from numpy.typing import NDArray

from backtests.engine.kernels.types import CommandKind, SizeKind
from backtests.engine.result import CommandLog

PLACING = (CommandKind.SUBMIT, CommandKind.CLOSE_POSITION, CommandKind.TARGET)
KNOWN = (*PLACING, CommandKind.CANCEL, CommandKind.CANCEL_ALL)


def find_command_fault(log: CommandLog, *, first_bar: int, n_steps: int, n_symbols: int) -> str:
    """What is wrong with the log, in words; empty when it can be replayed."""
    rows = log.rows
    if not len(rows):
        return ""
    i_bar, kind = rows["i_bar"], rows["kind"]
    is_placing, is_submit = np.isin(kind, PLACING), kind == CommandKind.SUBMIT
    faults: tuple[tuple[str, NDArray[np.bool_]], ...] = (
        ("is of no known kind", ~np.isin(kind, KNOWN)),
        ("is out of sequence", rows["seq"] != np.arange(len(rows))),
        ("lies outside the span", (i_bar < first_bar) | (i_bar >= n_steps)),
        ("lies before the one ahead of it", np.diff(i_bar, prepend=i_bar[0]) < 0),
        (
            "names no symbol of the run",
            (rows["i_symbol"] >= n_symbols) | (rows["i_symbol"] < np.where(is_placing, 0, -1)),
        ),
        ("has neither side", is_submit & (np.abs(rows["side"]) != 1)),
        ("has no kind of size", is_submit & ~np.isin(rows["size_kind"], list(SizeKind))),
        ("has no size", is_placing & ~np.isfinite(rows["size"])),
        ("has a leverage below 1", rows["leverage"] < 1),
        ("lasts a negative time", rows["good_for_bars"] < 0),
        ("names a tag that is not there", (rows["i_tag"] < -1) | (rows["i_tag"] >= len(log.tags))),
    )
    for text, flags in faults:
        if flags.any():
            return f"Command {int(np.argmax(flags))} {text}."
    return ""
