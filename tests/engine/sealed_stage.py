"""A sealed run in this process: the parent's dealer and the child's loop hand bars to each other."""

import mmap

import numpy as np

from backtests.engine.frames import hide_bars, lay_table, table_bytes
from backtests.engine.kernels.types import COMMAND
from backtests.engine.loop import run
from backtests.engine.replay import replay
from backtests.engine.result import CommandLog
from backtests.engine.sealed.account import SealedAccount
from backtests.engine.sealed.loop import run_sealed
from backtests.engine.sealed.session import SealedSession
from backtests.engine.strategy import Session, load_strategy
from backtests.runner.dealer import Dealer
from tests.engine.strategy_stage import NotingReporter


class OwnTurns:
    """Shows the next bar when asked, and keeps the orders."""

    def __init__(self, dealer):
        self.dealer, self.rows, self.tags = dealer, [], []

    def take(self):
        self.dealer.show()

    def order(self, made):
        assert set(made.rows["i_bar"].tolist()) == {self.dealer.i_bar}
        self.rows.append(made.rows)
        self.tags += made.tags

    def log(self):
        return CommandLog(np.concatenate(self.rows) if self.rows else np.empty(0, COMMAND), tuple(self.tags))


def seal(make, request, feed, reporter=None):
    """(session, the child's result, what was sent). `make`: the strategy's source, or what makes the strategy."""
    dealer = Dealer(request, feed)
    memory = mmap.mmap(-1, table_bytes(dealer.shape))
    dealer.open(memory)
    turns = OwnTurns(dealer)
    account = SealedAccount(request, hide_bars(feed), lay_table(dealer.shape, memory))
    reporter = reporter or NotingReporter()
    session = SealedSession(build(make, request), reporter)
    return session, run_sealed(session, account, turns, reporter), turns


def build(make, request):
    return load_strategy(make, request.params) if isinstance(make, str) else make()


def run_both(make, request, feed):
    """The draft's session and result, after the laws that hold between both modes were checked."""
    drafted, shown = NotingReporter(), NotingReporter()
    session = Session(build(make, request), drafted)
    draft = run(session, request, feed, drafted)
    sealed_session, sealed, turns = seal(make, request, feed, shown)
    log = session.account.command_log()
    assert turns.log().rows.tobytes() == log.rows.tobytes()
    assert turns.log().tags == log.tags
    assert sealed.result_hash() == draft.result_hash()
    assert replay(request, feed, turns.log()).result_hash() == draft.result_hash()
    assert (shown.lines, shown.points) == (drafted.lines, drafted.points)
    assert list(shown.drawn) == list(drafted.drawn)
    first, n = draft.first_bar, draft.n_bars
    for name, (pane, values) in drafted.drawn.items():
        assert shown.drawn[name][0] == pane
        np.testing.assert_array_equal(shown.drawn[name][1][first : first + n], values[first : first + n])
    assert getattr(sealed_session.strategy, "seen", None) == getattr(session.strategy, "seen", None)
    return session, draft
