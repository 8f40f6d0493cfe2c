"""From a source text to a strategy, and from an exception back to the line that caused it."""

import sys

import pytest

from backtests.engine.errors import RequestError, StrategySourceError
from backtests.engine.strategy import describe_error, load_strategy
from tests.engine.strategy_stage import START_MS, play

EMPTY = "class S(Strategy):\n    def initialize(self): pass\n    def on_data(self, data): pass\n"


def failure_of(source, **fields):
    """What a user is told when this source runs."""
    try:
        play("", source=source, **fields)
    except BaseException as error:
        return describe_error(error, source, START_MS)
    raise AssertionError("it did not fail")


def test_the_names_are_there_and_can_be_imported():
    strategy = load_strategy(
        "from hindsight import Strategy, Param, crossed_above, crossed_below, ta, Indicator, Order\n"
        "import hindsight\n"
        "class S(hindsight.Strategy):\n"
        "    initialize = lambda self: None\n"
        "    def on_data(self, data): pass\n"
    )
    assert type(strategy).__name__ == "S"
    assert "hindsight" in sys.modules


@pytest.mark.parametrize(
    ("source", "line", "text"),
    [
        ("class S(Strategy):\n  def on_data(self data): pass", 2, "SyntaxError"),
        ("class S(Strategy):\n\tx = 1\n        y = 2", 3, "TabError|IndentationError"),
        ("x = 1", 0, "no strategy: write one class that inherits Strategy"),
        ("x = '\0'", 0, "null"),
        (EMPTY + EMPTY.replace("S(", "T("), 0, r"several strategies \(S, T\)"),
        (
            "class S(Strategy):\n    def initialize(self): pass",
            0,
            r"has no on_data: write `def on_data\(self, data\):`",
        ),
        ("class S(Strategy):\n    def on_data(self, data): pass", 0, "has no initialize"),
        (
            EMPTY + "    def targets(self, candles): pass",
            3,
            "has targets, so on_data is never called",
        ),
        ("class S(Strategy):\n    def targets(self): pass", 2, r"write `def targets\(self, candles\):`"),
        (
            "class S(Strategy):\n    def targets(self, candles): pass\n    def on_fill(self, fill): pass",
            3,
            "has targets, so on_fill is never called",
        ),
        (EMPTY.replace("self, data", "self"), 3, "on_data takes other arguments than it gets"),
        (EMPTY + "    def on_fill(self): pass\n", 4, r"write `def on_fill\(self, fill\):`"),
        (EMPTY + "    on_order = 5\n", 0, "must be a method"),
    ],
)
def test_a_source_that_cannot_become_a_strategy_says_why(source, line, text):
    with pytest.raises(StrategySourceError, match=text) as caught:
        load_strategy(source)
    assert caught.value.line == line
    told = describe_error(caught.value, source, None)
    assert (told.code, told.line) == ("strategy_source", line)


def test_a_class_between_is_no_second_strategy():
    assert type(load_strategy(EMPTY + "class T(S):\n    extra = 1\n")).__name__ == "T"


def test_a_base_class_of_the_user_s_own_carries_parameters():
    source = "class Common(Strategy):\n    n = Param(3)\n    m = Param(4)\n" + EMPTY.replace("(Strategy)", "(Common)")
    strategy = load_strategy(source + "    m = 9\n", {"n": 7})
    assert (strategy.n, strategy.m, dict(strategy.params)) == (7, 9, {"n": 7})


PARAMS = EMPTY.replace(
    "    def init",
    "    n = Param(20, min=5, max=100)\n    r = Param(0.5, min=0)\n    on = Param(True)\n"
    "    kind = Param('a', choices=['a', 'b'])\n    def init",
)


def test_parameters_have_their_defaults_and_their_types():
    strategy = load_strategy(PARAMS, {"n": 30.0, "r": 2})
    assert (strategy.n, strategy.r, strategy.on, strategy.kind) == (30, 2.0, True, "a")
    assert type(strategy.n) is int
    assert type(strategy.r) is float


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"n": 4}, "n = 4 must be at least 5 and at most 100"),
        ({"n": 5.5}, "n = 5.5 must be a whole number"),
        ({"n": "7"}, "must be a number"),
        ({"n": True}, "must be a number"),
        ({"r": -1}, "r = -1 must be at least 0"),
        ({"r": float("nan")}, "must be a number"),
        ({"on": 1}, "on = 1 must be a bool"),
        ({"kind": "c"}, "kind must be one of: a, b"),
        ({"speed": 1}, "no parameter 'speed'. It has: n, r, on, kind"),
    ],
)
def test_a_bad_parameter_names_its_bounds(params, text):
    with pytest.raises(RequestError, match=text):
        load_strategy(PARAMS, params)


def test_an_exception_names_line_source_line_and_bar():
    source = EMPTY.replace(
        "data): pass", "data):\n        self.divide(data.close)\n    def divide(self, x):\n        return x / 0"
    )
    told = failure_of(source)
    assert (told.code, told.line, told.source_line) == ("strategy_error", 6, "return x / 0")
    assert "division by zero" in told.message
    assert told.bar_time_ms == START_MS
    assert [line.strip() for line in told.traceback.splitlines() if "File" in line] == [
        'File "strategy.py", line 4, in on_data',
        'File "strategy.py", line 6, in divide',
    ]
    assert "loop.py" not in told.traceback


def test_an_error_below_a_library_call_is_shown_at_the_user_s_line():
    told = failure_of(EMPTY.replace("data): pass", "data): self.buy(-1)"))
    assert (told.code, told.line) == ("strategy_error", 3)
    assert told.message.startswith("OrderError: amount must be above zero")
    assert "order.py" not in told.traceback


@pytest.mark.parametrize(
    ("statement", "code", "text"),
    [
        ("raise MemoryError", "memory_limit", "more memory than a run may use"),
        ("exit(3)", "strategy_error", "called exit()"),
        ("raise KeyboardInterrupt", "strategy_error", "KeyboardInterrupt"),
        ("self.recurse = lambda: self.recurse(); self.recurse()", "strategy_error", "RecursionError"),
        ("raise ValueError('no') from KeyError('x')", "strategy_error", "ValueError: no (caused by KeyError)"),
        ("raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})", "strategy_error", "E"),
        ("self.position = 3", "strategy_error", "AttributeError"),
        ("import nowhere", "strategy_error", "ModuleNotFoundError"),
    ],
)
def test_whatever_a_strategy_raises_becomes_a_failure_with_a_line(statement, code, text):
    told = failure_of(EMPTY.replace("data): pass", f"data): {statement}"))
    assert (told.code, told.line) == (code, 3)
    assert text in told.message


def test_an_error_at_the_top_level_of_the_source_has_its_line():
    told = failure_of("import math\nmath.sqrt(-1)\n" + EMPTY)
    assert (told.code, told.line, told.source_line) == ("strategy_error", 2, "math.sqrt(-1)")


def test_an_error_of_our_own_is_not_blamed_on_the_strategy():
    assert describe_error(KeyError("x"), EMPTY, None).code == "internal"
    assert describe_error(RequestError("params", "unknown_param", "no such"), EMPTY, None).code == "strategy_source"


def test_a_strategy_may_use_dataclasses_and_its_own_classes():
    source = "from dataclasses import dataclass\n@dataclass\nclass Level:\n    price: float\n" + EMPTY.replace(
        "initialize(self): pass", "initialize(self): self.seen = [Level(3.0)]"
    )
    assert load_strategy(source) is not None
    assert play("", source=source)[0].strategy.seen[0].price == 3.0
