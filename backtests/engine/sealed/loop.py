"""A sealed run, bar by bar: the draft's order of events (engine.loop), with a turn of the parent before each bar.

1. Ask for the bar; the parent writes it into the table                 sealed/turns.py
2. Indicators get their next value                                      sealed/lines.py
3. The kernels, the hooks, the strategy: as in any bar                  engine/loop.py
4. Send the orders; the parent stamps them with the bar that it showed  runner/dealer.py

There is no looking ahead for quiet bars, as there is nothing ahead to look at.
"""

from time import perf_counter
from typing import Protocol

from backtests.engine.loop import LOOK_S, Reporter, call_event_bar, deliver_events
from backtests.engine.result import CommandLog, EngineResult
from backtests.engine.sealed.account import SealedAccount
from backtests.engine.sealed.session import SealedSession
from backtests.engine.sealed.targets import RevealedFollower


class Turns(Protocol):
    """The parent, as the child sees it."""

    def take(self) -> None:
        """Returns when the next bar of the span lies in the table."""
        ...

    def order(self, made: CommandLog) -> None:
        """Takes the commands made at this bar (kernels.types.COMMAND) and the tags that are new."""
        ...


def run_sealed(session: SealedSession, account: SealedAccount, turns: Turns, reporter: Reporter) -> EngineResult:
    """Drive the strategy over the span and return what it did: to the bit what engine.loop.run gives.

    Raises LookAheadError, after the last bar, where an indicator's value or a target was another one than the whole
    span gives. What the strategy raises goes through.
    """
    data = session.bind(account, reporter)
    account.open(is_listening=session.is_listening)
    follower: RevealedFollower | None = None
    sender, told_at = _Sender(account, turns), perf_counter()
    for i_bar in range(account.first_bar, account.n_bars):
        turns.take()
        account.cursor.i_bar = i_bar
        session.reveal(i_bar)
        if session.targets is None:
            call_event_bar(session, account, data, i_bar)
        else:
            follower = follower or session.targets.follow()
            follower.play(i_bar)
        sender.send(follower)
        if account.is_ruined:
            break
        if perf_counter() - told_at > LOOK_S:
            told_at = perf_counter()
            _tell(account, reporter)
    if follower is not None:
        account.take_log(follower.commands)
    account.close()
    deliver_events(session, account)
    session.on_finish()
    _tell(account, reporter)
    return account.result()


class _Sender:
    """Sends what has been ordered since it was last asked."""

    def __init__(self, account: SealedAccount, turns: Turns) -> None:
        self._account, self._turns = account, turns
        self._n_rows = self._n_tags = 0

    def send(self, follower: RevealedFollower | None) -> None:
        account = self._account
        n_rows = account.n_commands if follower is None else int(account.simulation.account["n_commands"][0])
        if n_rows == self._n_rows:
            return
        rows = (account.commands() if follower is None else follower.commands)[self._n_rows :]
        tags = account.tags[self._n_tags :]
        self._n_rows, self._n_tags = n_rows, self._n_tags + len(tags)
        self._turns.order(CommandLog(rows.copy(), tags))


def _tell(account: SealedAccount, reporter: Reporter) -> None:
    first = account.first_bar
    reporter.progress(account.cursor.i_bar + 1 - first, account.n_bars - first, account.margin_balance)
