"""What becomes of positions: increases, partial closes, flips, funding, liquidation. Candles in, fills out."""

import pytest

from backtests.engine.request import FillPolicy
from tests.engine.market_stage import QUIET, buy, close, sell
from tests.engine.order_stage import Case, check, ids
from tests.engine.scenarios import MINUTE

NAN = float("nan")
LEVER = {"leverage": 10.0}
LONG = (0, 10, 100, "market")
LEVEL = 900 / 9.96  # of 10 bought at 100 with 10x: margin 100, 0.4 % maintenance
RISE = (100.0, 110.0, 100.0, 110.0)
FALL = (100.0, 101.0, 85.0, 95.0)
RICH = {"initial_balance": 30_000.0}

# fmt: off
POSITIONS = [
    Case("adding to a position",
        [QUIET, RISE], {0: [buy(1)], 1: [buy(3)]}, [(0, 1, 100, "market"), (1, 3, 110, "market")], exits=["open"]),
    Case("a partial close keeps the trade",
        [QUIET, RISE], {0: [buy(4)], 1: [close(25.0)]}, [(0, 4, 100, "market"), (1, -1, 110, "market")],
        exits=["open"]),
    Case("parts that make a whole end it",
        [QUIET, RISE], {0: [buy(4)], 1: [close(50.0), close(50.0), close()]},
        [(0, 4, 100, "market"), (1, -2, 110, "market"), (1, -1, 110, "market"), (1, -1, 110, "market")],
        exits=["order"]),
    Case("a flip ends one trade and opens another",
        [QUIET, RISE], {0: [buy(1)], 1: [sell(3)]},
        [(0, 1, 100, "market"), (1, -1, 110, "market"), (1, -2, 110, "market")], exits=["flip", "open"]),
    Case("a flip whose rest finds no margin has closed all the same",
        [QUIET, RISE], {0: [buy(1)], 1: [sell(30)]}, [(0, 1, 100, "market"), (1, -1, 110, "market")],
        ["filled", "cancelled INSUFFICIENT_MARGIN"]),
]

LIQUIDATIONS = [
    Case("inside the bar at its price",
        [QUIET, FALL], {0: [buy(10, **LEVER)]}, [LONG, (1, -10, LEVEL, "liquidation")], exits=["liquidation"]),
    Case("a low just above it does nothing",
        [QUIET, (100, 101, 90.37, 95)], {0: [buy(10, **LEVER)]}, [LONG], exits=["open"]),
    Case("a gap through it closes at the open",
        [QUIET, (85, 101, 84, 95)], {0: [buy(10, **LEVER)]}, [LONG, (1, -10, 85, "liquidation")]),
    Case("before orders that wait for the same open",
        [QUIET, QUIET, (85, 86, 84, 85)], {0: [buy(10, **LEVER)], 1: [close()]},
        [(1, 10, 100, "market"), (2, -10, 85, "liquidation")], ["filled", "cancelled LIQUIDATED"],
        settings={"fill": FillPolicy.NEXT_OPEN}),
    Case("a partial close releases margin pro rata, so the level stays",
        [QUIET, FALL], {0: [buy(10, **LEVER), close(50.0)]},
        [LONG, (0, -5, 100, "market"), (1, -5, LEVEL, "liquidation")]),
    Case("after a flip the rest has its own level",
        [QUIET, (100, 115, 100, 101)], {0: [buy(1), sell(11, **LEVER)]},
        [(0, 1, 100, "market"), (0, -1, 100, "market"), (0, -10, 100, "market"), (1, 10, 1100 / 10.04, "liquidation")]),
    Case("by the mark, not by the last price",
        [QUIET, FALL], {0: [buy(10, **LEVER)]}, [LONG], settings={"mark": [QUIET, QUIET]}),
    Case("also where nobody trades",
        [QUIET, FALL], {0: [buy(10, **LEVER)]}, [LONG, (1, -10, LEVEL, "liquidation")],
        settings={"volumes": {1: 0.0}}),
    Case("funding that leaves more than the maintenance margin",
        [QUIET, QUIET], {0: [buy(10, **LEVER)]}, [LONG], settings={"stamps": [(MINUTE, 0.0959, NAN)]}),
    Case("funding that does not: due at once, at the mark",
        [QUIET, QUIET], {0: [buy(10, **LEVER)]}, [LONG, (1, -10, 100, "liquidation")],
        settings={"stamps": [(MINUTE, 0.0961, NAN)]}),
    Case("funding received moves the level away",
        [QUIET, (100, 101, 90.2, 95)], {0: [buy(10, **LEVER)]}, [LONG], settings={"stamps": [(MINUTE, -0.002, NAN)]}),
    Case("a rise into a higher tier counts at its rate",
        [QUIET, (100, 149.3, 100, 140)], {0: [sell(400, leverage=2.0)]},
        [(0, -400, 100, "market"), (1, 400, (60_000 + 300) / 404, "liquidation")], settings=RICH),
    Case("just below that level it stands",
        [QUIET, (100, 149.25, 100, 140)], {0: [sell(400, leverage=2.0)]}, [(0, -400, 100, "market")], settings=RICH),
    Case("a long in a higher tier",
        [QUIET, (100, 100, 90.4, 95)], {0: [buy(600, **LEVER)]},
        [(0, 600, 100, "market"), (1, -600, (60_000 - 6_300) / 594, "liquidation")], settings=RICH),
]
# fmt: on


@pytest.mark.parametrize("case", POSITIONS, ids=ids)
def test_positions(case):
    check(case)


@pytest.mark.parametrize("case", LIQUIDATIONS, ids=ids)
def test_liquidations(case):
    result = check(case)
    assert (result.fills["wallet_balance"] >= 0).all()


def test_an_increase_means_its_entry_price_and_a_close_keeps_it():
    fills = check(POSITIONS[0]).fills
    assert list(fills["entry_price"]) == [100, (100 + 3 * 110) / 4]
    assert list(check(POSITIONS[1]).fills["entry_price"]) == [100, 100]
    assert list(check(POSITIONS[1]).fills["initial_margin"]) == [400, -100]
