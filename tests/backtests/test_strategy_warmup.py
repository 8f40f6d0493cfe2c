"""A strategy says how many bars it needs before the span; a request may say otherwise."""

import pytest

from backtests.services import fill_warmup

SOURCE = "class S(Strategy):\n    warmup_bars = 40\n"


@pytest.mark.parametrize(
    ("given", "n_bars"),
    [
        ({}, 40),
        ({"warmup_bars": ""}, 40),
        ({"warmup_bars": None}, 40),
        ({"warmup_bars": "0"}, "0"),
        ({"warmup_bars": 7}, 7),
    ],
)
def test_the_request_goes_before_the_class(given, n_bars):
    assert fill_warmup({"market": "usdm", **given}, SOURCE) == {"market": "usdm", "warmup_bars": n_bars}
