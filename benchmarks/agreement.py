"""Where two engines fill by the same rule, they must come to the same trades and the same money, to the cent."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    """Combination by combination."""
    pairs = list(zip(ours.details["equities"], peer.details["equities"], strict=True))
    n_equal = sum(abs(a - b) < HALF_A_CENT for a, b in pairs)
    is_agreed = n_equal == len(pairs) and ours.n_trades == peer.n_trades
    text = (
        f"{title_of(ours)} and {peer.job.entrant.engine}: {n_equal:,} of {len(pairs):,} final equities equal,"
        f" {ours.n_trades:,} and {peer.n_trades:,} trades"
    )
    return Finding(text, is_agreed)


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
