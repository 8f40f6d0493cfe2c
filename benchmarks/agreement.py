"""Where two engines fill by the same rule, they must come to the same trades and the same money, to the cent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backtests.engine.kernels.types import ExitReason
from backtests.engine.result import Rows
from benchmarks.jobs import BACKTESTING, CALLBACK, CALLBACK_AT_CLOSE, TARGETS, VECTORBT, Entrant
from benchmarks.race import Measurement

HALF_A_CENT = 0.005
SAME_RULE = ((CALLBACK, BACKTESTING), (TARGETS, VECTORBT), (CALLBACK_AT_CLOSE, VECTORBT))
BY_LEVEL = (ExitReason.STOP_LOSS, ExitReason.TAKE_PROFIT)


@dataclass(frozen=True)
class Finding:
    """What a comparison of two engines came to."""

    text: str
    is_agreed: bool


def compare_all(measurements: Sequence[Measurement]) -> list[Finding]:
    """Every pair of engines whose fill rules are the same, work by work."""
    found = {(m.job.work.name, m.job.entrant): m for m in measurements}
    names = dict.fromkeys(m.job.work.name for m in measurements)
    return [
        compare_pair(found[name, ours], found[name, peer])
        for name in names
        for ours, peer in SAME_RULE
        if (name, ours) in found and (name, peer) in found
    ]


def compare_pair(ours: Measurement, peer: Measurement) -> Finding:
    if ours.job.work.pairs:
        return compare_sweeps(ours, peer)
    n_trades, equity, because = ours.n_trades, ours.final_equity, ""
    if ours.job.work.exits and peer.job.entrant is VECTORBT:
        n_skipped, pnl = ours.details["n_skipped"], ours.details["skipped_pnl"]
        n_trades, equity = n_trades - n_skipped, equity - pnl
        because = (
            f" once the {n_skipped} trades worth {pnl:,.2f} are left out that we enter at the close of a bar in which a"
            " stop or target was hit: there vectorbt makes one order a bar and drops the signal"
        )
    is_agreed = n_trades == peer.n_trades and abs(equity - peer.final_equity) < HALF_A_CENT
    sides = f"{title_of(ours)} and {peer.job.entrant.engine} ({peer.job.entrant.fill})"
    theirs = f"{peer.n_trades:,} trades, {peer.final_equity:,.2f}"
    if is_agreed:
        return Finding(f"{sides} agree: {theirs}{because}", is_agreed=True)
    return Finding(f"{sides} DIFFER: {n_trades:,} trades, {equity:,.4f} against {theirs}{because}", is_agreed=False)


def compare_sweeps(ours: Measurement, peer: Measurement) -> Finding:
    """Combination by combination. Where means are exactly equal, rounding decides about a crossing: see find_ties."""
    pairs = zip(ours.details["equities"], peer.details["equities"], ours.details["is_tied"], strict=True)
    tied_of_different = [is_tied for a, b, is_tied in pairs if not abs(a - b) < HALF_A_CENT]
    n_all, n_ties = len(ours.details["is_tied"]), sum(ours.details["is_tied"])
    text = (
        f"{title_of(ours)} and {peer.job.entrant.engine} come to the same final equity in"
        f" {n_all - len(tied_of_different):,} of {n_all:,} combinations, {ours.n_trades:,} and {peer.n_trades:,} trades"
    )
    if tied_of_different:
        text += (
            f"; in {sum(tied_of_different)} of the others (of {n_ties} such) the means are exactly equal at some bar"
        )
        text += ", so that the last digit of a sum decides when they cross"
    return Finding(text, is_agreed=all(tied_of_different))


def find_ties(close: NDArray[np.float64], pairs: Sequence[Sequence[int]]) -> list[bool]:
    """Of each pair of lengths: are its means exactly equal at some bar? close: prices of whole cents.

    There the difference of two floating-point means is 0 or noise, as the sums were made, and engines that make them
    differently see a crossing one bar apart.
    """
    sums = np.concatenate([[0], np.cumsum(np.rint(close * 100).astype(np.int64))])

    def is_tied(fast: int, slow: int) -> bool:
        in_fast = sums[slow:] - sums[slow - fast : len(sums) - fast]
        in_slow = sums[slow:] - sums[: len(sums) - slow]
        return bool(np.any(in_fast * slow == in_slow * fast))

    return [is_tied(fast, slow) for fast, slow in pairs]


def title_of(measurement: Measurement) -> str:
    entrant: Entrant = measurement.job.entrant
    return f"{measurement.job.work.name}: {entrant.engine} {entrant.api} ({entrant.fill})"


def vectorbt_skips(trades: Rows) -> tuple[int, float]:
    """How many of our trades vectorbt does not make, and their profit, when both trade one fixed quantity.

    Its simulation makes at most one order a bar and column: on a bar in which a stop or target closes the position, a
    signal is dropped. Ours fills it at the close. A trade that is not made cannot itself end at a level, so the trades
    are walked in order.
    """
    n_skipped, pnl = 0, 0.0
    closed_at = -1  # the bar in which the last trade that both make was closed by a level
    for trade in trades:
        if closed_at >= 0 and trade["i_bar_entry"] == closed_at:
            n_skipped, pnl = n_skipped + 1, pnl + float(trade["pnl"])
        else:
            closed_at = int(trade["i_bar_exit"]) if trade["exit_reason"] in BY_LEVEL else -1
    return n_skipped, pnl
