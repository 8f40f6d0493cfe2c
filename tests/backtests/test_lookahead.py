"""What the look-ahead and determinism check says of strategies; they run in this process here."""

import textwrap
from dataclasses import replace

import numpy as np
import pytest

from backtests.engine.errors import BacktestError
from backtests.engine.kernels.types import COMMAND
from backtests.engine.loop import run
from backtests.engine.request import Feed, FundingEvents
from backtests.engine.result import CommandLog
from backtests.engine.strategy import Session, load_strategy
from backtests.runner.lookahead import Orders, check_lookahead, choose_cuts, find_difference
from backtests.runner.other_futures import cut_off, scramble
from backtests.runner.outcome import Failure, RunJob
from strategies.samples import EXAMPLES
from tests.backtests.test_runner_execute import CACHE, LIMITS, random_walk
from tests.engine.strategy_stage import HOUR_MS, START_MS, make_bars, make_feed, make_request

NOTHING = CommandLog(np.empty(0, COMMAND))

HONEST = "class S(Strategy):\n    def initialize(self): pass\n    def on_data(self, data): self.buy(equity_ratio=0.1)\n"


def make_job(source, n=400, n_symbols=1, **fields):
    feed = make_feed(*(make_bars(random_walk(n, seed=3 + i)) for i in range(n_symbols)))
    return RunJob(make_request(feed, **fields), textwrap.dedent(source), feed, LIMITS, CACHE)


def run_here(job, is_elsewhere):
    session = None
    try:
        session = Session(load_strategy(job.source, job.request.params))
        run(session, job.request, job.feed)
    except (BacktestError, ArithmeticError, LookupError) as error:
        code = getattr(error, "code", "strategy_error")
        return Orders(NOTHING, Failure(code, str(error)))
    return Orders(session.account.command_log())


def verdict_of(source, **fields):
    return check_lookahead(make_job(source, **fields), run_here)


def on_targets(expression):
    return f"""
        import numpy as np
        import pandas as pd

        class S(Strategy):
            def targets(self, candles):
                close = pd.Series(np.array(candles.close))
                return np.where({expression}, 0.5, 0.0)
    """


PEEKS = {
    "the next close": on_targets("close.shift(-1) > close"),
    "the mean of the whole sample": on_targets("close > close.mean()"),
    "a z-score of the whole sample": on_targets("(close - close.mean()) / close.std() < -0.5"),
    "a centred window": on_targets("close.rolling(9, center=True).mean() > close"),
    "a value filled in from behind": on_targets("close.where(np.arange(len(close)) % 5 == 4).bfill() > close"),
    "the highest close to come": on_targets("close[::-1].cummax()[::-1] > close * 1.05"),
    "an indicator that looks ahead": """
        class S(Strategy):
            def initialize(self):
                self.next = self.indicator(lambda close: close.shift(-1), "close")

            def on_data(self, data):
                if self.next.value > data.close and self.get_position_size() == 0:
                    self.buy(equity_ratio=0.5)
                elif self.next.value < data.close:
                    self.close_position()
    """,
}


@pytest.mark.parametrize("name", PEEKS)
def test_knowledge_of_the_future_is_caught(name):
    verdict = verdict_of(PEEKS[name])
    assert verdict.failure is None
    assert verdict.name == "looks_ahead"
    difference = verdict.difference
    assert difference.expected != difference.found
    assert START_MS <= difference.bar_time_ms <= difference.cut_time_ms


def test_the_first_bar_and_order_that_differ_are_named():
    difference = verdict_of(PEEKS["the next close"]).difference
    closes = random_walk(400)
    i_bar = (difference.bar_time_ms - START_MS) // HOUR_MS
    assert difference.cut_time_ms == difference.bar_time_ms  # it sees one bar ahead
    wanted = 0.5 if closes[i_bar + 1] > closes[i_bar] else 0
    assert difference.expected == f"target {wanted} of the equity"
    assert difference.found in ("", "target 0.5 of the equity", "target 0 of the equity")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.slug)
def test_every_sample_passes(example):
    verdict = verdict_of(example.source, n=700)
    assert (verdict.name, verdict.difference, verdict.failure) == ("passed", None, None)
    assert verdict.n_orders > 0
    assert verdict.n_runs == 9


def test_chance_without_a_seed_is_caught():
    source = """
        import numpy as np

        class S(Strategy):
            def initialize(self):
                self.random = np.random.default_rng()

            def on_data(self, data):
                self.buy(equity_ratio=0.1 + 0.1 * self.random.random())
    """
    verdict = verdict_of(source, n=60)
    assert verdict.name == "not_deterministic"
    assert verdict.difference.other_run == "again"
    assert verdict.difference.bar_time_ms == START_MS
    assert verdict.difference.expected.startswith("buy 0.1")
    assert verdict.difference.cut_time_ms is None


def test_an_error_in_the_second_run_alone_is_no_determinism():
    job, n = make_job(HONEST, n=60), []

    def run_once(job, is_elsewhere):
        n.append(is_elsewhere)
        return Orders(NOTHING, Failure("strategy_error", "no")) if is_elsewhere else run_here(job, is_elsewhere)

    assert check_lookahead(job, run_once).name == "not_deterministic"
    assert n == [False, True]


def test_a_strategy_that_orders_nothing_passes_nothing():
    verdict = verdict_of(
        "class S(Strategy):\n    def initialize(self): pass\n    def on_data(self, data): pass\n", n=60
    )
    assert (verdict.name, verdict.n_orders, verdict.n_runs) == ("no_orders", 0, 1)


def test_a_strategy_that_breaks_is_no_look_ahead():
    verdict = verdict_of(
        "class S(Strategy):\n    def initialize(self): pass\n    def on_data(self, data): 1 / 0\n", n=60
    )
    assert verdict.name == "failed"
    assert "zero" in verdict.failure.message


@pytest.mark.parametrize("code", ["time_limit", "memory_limit", "killed"])
def test_a_limit_reached_on_another_future_ends_the_check_with_its_name(code):
    def run_slowly(job, is_elsewhere):
        if job.feed is not first.feed:
            return Orders(NOTHING, Failure(code, "too much"))
        return run_here(job, is_elsewhere)

    first = make_job(HONEST, n=60)
    verdict = check_lookahead(first, run_slowly)
    assert (verdict.name, verdict.failure.code) == ("failed", code)


def test_what_breaks_on_every_other_future_is_not_called_passed():
    first = make_job(HONEST, n=60)

    def run_brittle(job, is_elsewhere):
        if job.feed is not first.feed:
            return Orders(NOTHING, Failure("strategy_error", "cut"))
        return run_here(job, is_elsewhere)

    assert check_lookahead(first, run_brittle).failure.code == "not_comparable"


def test_orders_that_cannot_be_are_not_compared():
    rows = np.zeros(1, COMMAND)
    rows["i_bar"] = 10**9
    job = make_job("", n=60)
    verdict = check_lookahead(job, lambda job, is_elsewhere: Orders(CommandLog(rows)))
    assert verdict.failure.code == "integrity"


def test_another_future_leaves_the_past_and_makes_possible_bars():
    job = make_job("", n=80, n_symbols=2)
    for i, symbol in enumerate(scramble(job, 40, seed=5).feed.symbols):
        bars, before = symbol.bars, job.feed.symbols[i].bars
        for name in ("open", "high", "low", "close", "volume"):
            assert (getattr(bars, name)[:41] == getattr(before, name)[:41]).all()
        assert (bars.close[41:] != before.close[41:]).all()
        assert (bars.open_ms == before.open_ms).all()


def test_marks_finer_bars_and_funding_follow_the_other_future():
    job = make_job("", n=20)
    symbol = job.feed.symbols[0]
    fine = make_bars(np.repeat(symbol.bars.close, 4), step_ms=HOUR_MS // 4)
    times = symbol.bars.open_ms[::8]
    funding = FundingEvents(times, np.full(len(times), 1e-4), symbol.bars.open[::8].copy())
    job = replace(job, feed=Feed((replace(symbol, fine_bars=fine, mark_bars=fine, funding=funding),)))
    other = scramble(job, 9).feed.symbols[0]
    assert (other.fine_bars.close[:40] == fine.close[:40]).all()
    assert np.allclose(other.fine_bars.close[43::4], other.bars.close[10:])
    assert (other.mark_bars.low == other.fine_bars.low).all()
    assert list(np.sign(other.funding.rate)) == [1, 1, -1]
    short = cut_off(job, 9).feed.symbols[0]
    assert (len(short.bars), len(short.fine_bars), len(short.mark_bars), len(short.funding)) == (10, 40, 40, 2)


def log_of(*sizes, bars=None, tags=()):
    rows = np.zeros(len(sizes), COMMAND)
    for name in ("limit_price", "stop_price", "stop_loss", "take_profit", "trailing_ratio", "leverage"):
        rows[name] = np.nan
    rows["i_bar"] = range(len(sizes)) if bars is None else bars
    rows["kind"], rows["side"], rows["size_kind"], rows["size"] = 1, 1, 1, sizes
    rows["i_tag"] = range(len(tags)) if tags else -1
    return CommandLog(rows, tags)


def test_the_last_digits_of_a_sum_are_no_difference():
    assert find_difference(log_of(1, 2), log_of(1, 2 + 1e-12), 9, tolerance=1e-9) is None
    assert find_difference(log_of(1, 2), log_of(1, 2 + 1e-12), 9, tolerance=0.0) is not None


def test_an_order_that_is_missing_or_new_or_tagged_otherwise_differs():
    assert find_difference(log_of(1, 2), log_of(1), 9, tolerance=0.0) == (1, "buy 2 units", "")
    assert find_difference(log_of(1), log_of(1, 2), 9, tolerance=0.0) == (1, "", "buy 2 units")
    assert find_difference(log_of(1, bars=[4]), log_of(1, bars=[2]), 9, tolerance=0.0) == (2, "", "buy 1 units")
    assert (
        find_difference(log_of(1, tags=("a",)), log_of(1, tags=("b",)), 9, tolerance=0.0)[2] == "buy 1 units, tag 'b'"
    )
    assert find_difference(log_of(1, 2), log_of(1, 3), 0, tolerance=0.0) is None


def test_cuts_lie_where_orders_are():
    assert choose_cuts(log_of(*range(1, 91)), 0, 100) == sorted(set(choose_cuts(log_of(*range(1, 91)), 0, 100)))
    bars = list(range(20, 90, 7))
    assert set(choose_cuts(log_of(*bars, bars=bars), 0, 100)) <= set(bars)
    assert len(choose_cuts(log_of(1, bars=[50]), 0, 100)) == 6
    assert 50 in choose_cuts(log_of(1, bars=[50]), 0, 100)
    assert choose_cuts(log_of(), 0, 100) == []
