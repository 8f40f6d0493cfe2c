"""What a finished run leaves in memory."""

import gc
import weakref

from backtests.engine import run
from backtests.engine.strategy import Session, load_strategy
from tests.engine.strategy_stage import make_bars, make_feed, make_request

SOURCE = """
class Holder(Strategy):
    def initialize(self):
        self.last_close = None

    def on_data(self, data):
        self.last_close = data.close
"""


def test_finished_run_is_freed_at_once_and_not_by_the_garbage_collector():
    feed = make_feed(make_bars([100.0, 101.0, 102.0, 103.0, 104.0]))
    request = make_request(feed)
    session = Session(load_strategy(SOURCE))
    gc.disable()
    try:
        result = run(session, request, feed)
        account = weakref.ref(session.account)
        del session
        assert account() is None
    finally:
        gc.enable()
    assert result.n_bars == 5
