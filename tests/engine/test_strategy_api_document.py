"""The page for those who write strategies says what works: its examples pass the check, run, and trade."""

import textwrap
from pathlib import Path

import numpy as np
import pytest

from backtests.engine.kernels.types import OrderKind, Reason
from backtests.engine.loop import run
from backtests.engine.request import Bars
from backtests.engine.strategy import Session, load_strategy
from strategies.source_checks import check_source
from tests.engine.strategy_stage import HOUR_MS, START_MS, make_feed, make_request
from tests.engine.test_engine_api_document import EXAMPLE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "strategy-api.md"
TEXT = PAGE.read_text(encoding="utf-8")
N_BARS = 800


def wave():
    """Hourly bars that swing by some percent within days, with a drift and small wicks."""
    i = np.arange(N_BARS)
    close = 100 * np.exp(0.0002 * i + 0.03 * np.sin(i / 9) + 0.012 * np.sin(i / 2.3))
    opened = np.append(close[:1], close[:-1])
    high, low = np.maximum(opened, close) * 1.002, np.minimum(opened, close) * 0.998
    return Bars(START_MS + HOUR_MS * i.astype(np.int64), opened, high, low, close, np.full(N_BARS, 1000.0))


def source_of(example):
    """A class as it stands; loose lines become the initialize of a class."""
    if "class " in example:
        return "import numpy as np\n" * ("np." in example) + example
    return "class Lines(Strategy):\n    def on_data(self, data): pass\n    def initialize(self):\n" + textwrap.indent(
        example, " " * 8
    )


def run_example(example):
    feed = make_feed(wave())
    return run(Session(load_strategy(source_of(example))), make_request(feed), feed)


EXAMPLES = [match[1] for match in EXAMPLE.finditer(TEXT)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split("\n")[0][:40])
def test_every_example_passes_the_check_and_runs(example):
    assert check_source(source_of(example)) == []
    result = run_example(example)
    if "class " in example:
        assert len(result.fills) > 0


def example_of(name):
    (found,) = (example for example in EXAMPLES if f"class {name}(" in example)
    return found


def test_examples_of_resting_and_attached_orders_meet_all_their_kinds():
    kinds = {int(kind) for name in ("BuyTheDip", "Bracket") for kind in run_example(example_of(name)).fills["kind"]}
    wanted = {OrderKind.LIMIT, OrderKind.STOP, OrderKind.STOP_LOSS, OrderKind.TAKE_PROFIT, OrderKind.TRAILING_STOP}
    assert wanted <= kinds


def test_the_stop_of_the_ratchet_is_replaced_and_that_of_the_chase_is_moved():
    assert Reason.REPLACED in run_example(example_of("Ratchet")).orders["reason"]
    chase = run_example(example_of("Chase")).orders
    assert chase["stop_price"][1] > 95


def test_the_page_names_every_reason():
    assert [reason.name for reason in Reason if reason and f"`{reason.name}`" not in TEXT] == []
