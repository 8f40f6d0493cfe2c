"""The check says where and what, is silent about honest code, and never raises."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.samples import EXAMPLES
from strategies.source_checks import MAX_PROBLEMS, check_source, has_errors

GOOD = """\
class S(Strategy):
    fast = Param(20, min=5, max=100)

    def initialize(self):
        self.sma = self.indicator(ta.sma, "close", length=self.fast)

    def on_data(self, data):
        if data.close > self.sma.value:
            self.buy(equity_ratio=0.5)
"""


def found(source):
    return [(problem.line, problem.column, problem.code) for problem in check_source(source)]


def in_on_data(*lines):
    body = "".join(f"        {line}\n" for line in lines)
    return (
        f"class S(Strategy):\n    def initialize(self):\n        self.n_held = 0\n    def on_data(self, data):\n{body}"
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.slug)
def test_samples_have_no_problem(example):
    assert check_source(example.source) == []


def test_an_honest_strategy_has_no_problem():
    assert check_source(GOOD) == []


@pytest.mark.parametrize(
    ("source", "line", "column", "code", "words"),
    [
        ("class S(Strategy)\n    pass\n", 1, 18, "syntax", "':' is missing"),
        ("x = (1,\ny = 2\n", 1, 5, "syntax", "never closed"),
        ("if x:\nprint(1)\n", 2, 1, "syntax", "indented"),
        ("return 5\n", 1, 1, "syntax", "outside function"),
        ("x = 'é' + (\n", 1, 11, "syntax", "never closed"),
        ("ok = 1\nx = 1\0\n", 2, 6, "null_character", "NUL"),
        (b"ok = 1\n# \xff\n", 2, 3, "not_utf8", "UTF-8"),
        ("a = '\ud800'", 1, 6, "not_utf8", "UTF-8"),
        ("x = 1\n" * 50_000, 1, 1, "source_too_long", "200,000"),
        ("x = " + "-" * 100_000 + "1", 1, 1, "too_nested", "nested"),
    ],
)
def test_an_unreadable_text_is_one_problem_at_its_place(source, line, column, code, words):
    (problem,) = check_source(source)
    assert (problem.line, problem.column, problem.code, problem.severity) == (line, column, code, "error")
    assert words in problem.message


@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        ("", "no_strategy", "class MyStrategy(Strategy)"),
        ("x = 1\n", "no_strategy", "no strategy"),
        ("class A:\n    def on_data(self, data): ...\n", "no_strategy", "class A(Strategy)"),
        (GOOD + "class T(Strategy):\n    pass\n", "several_strategies", "T is a second strategy beside S"),
        ("class S(Strategy):\n    def on_data(self, data): ...\n", "missing_method", "initialize(self)"),
        ("class S(Strategy):\n    def initialize(self): ...\n", "missing_method", "on_data(self, data)"),
        (
            "class S(Strategy):\n    def initialise(self): ...\n    def on_data(self, data): ...\n",
            "missing_method",
            "You have initialise; rename it",
        ),
        (
            "class S(Strategy):\n    def initialize(self): ...\n    def next(self): ...\n",
            "missing_method",
            "You have next; rename it to on_data",
        ),
    ],
)
def test_a_source_needs_one_class_with_its_methods(source, code, words):
    (problem,) = check_source(source)
    assert problem.code == code
    assert words in problem.message


def test_targets_alone_make_a_strategy():
    assert check_source("class S(Strategy):\n    def targets(self, candles):\n        return candles.close\n") == []


def test_targets_and_on_data_in_one_class_are_a_problem_and_so_is_a_wrong_column():
    both = "class S(Strategy):\n    def targets(self, candles): ...\n    def on_data(self, data): ...\n"
    (problem,) = check_source(both)
    assert (problem.code, problem.line) == ("two_ways", 3)
    (problem,) = check_source("class S(Strategy):\n    def targets(self, candles):\n        return candles.clsoe\n")
    assert (problem.code, problem.message) == (
        "unknown_bar_field",
        "There is no candles.clsoe. Did you mean close?",
    )
    (problem,) = check_source("class S(Strategy):\n    def targets(self): ...\n")
    assert "targets(self, candles)" in problem.message


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("def on_data(self): ...", "on_data(self, data)"),
        ("def on_data(self, data, more): ...", "on_data(self, data)"),
        ("def on_data(self, data, *, more): ...", "on_data(self, data)"),
        ("async def on_data(self, data): ...", "async"),
        ("@staticmethod\n    def on_data(self, data): ...", "ordinary method"),
        ("def on_data(self, data):\n        yield 1", "yield"),
    ],
)
def test_wrong_signatures(method, words):
    problems = check_source(f"class S(Strategy):\n    def initialize(self): ...\n    {method}\n")
    assert [problem.code for problem in problems] == ["wrong_signature"]
    assert words in problems[0].message


@pytest.mark.parametrize(
    "method",
    [
        "def on_data(self, data, scale=2): ...",
        "def on_data(self, *rest): ...",
        "def on_data(this, bar): ...",
        "def on_data(self, data, /): ...",
        "@cached\n    def on_data(): ...",
        "on_data = make_handler()",
        "def on_data(self, data):\n        f = lambda: (yield)\n        def g():\n            yield 2",
    ],
)
def test_signatures_that_can_be_called_are_fine(method):
    imports = "from functools import cache as cached, wraps as make_handler\n"
    source = f"{imports}class S(Strategy):\n    def initialize(self): ...\n    {method}\n"
    assert check_source(source) == []


@pytest.mark.parametrize(
    ("statement", "place", "words"),
    [
        ("import os", (1, 8), "os"),
        ("import numpy as np, socket", (1, 21), "socket"),
        ("from urllib.request import urlopen", (1, 1), "urllib.request"),
        ("from . import secrets", (1, 1), "one file"),
        ("import nunpy", (1, 8), "Did you mean numpy?"),
    ],
)
def test_forbidden_imports(statement, place, words):
    (problem,) = check_source(f"{statement}\n{GOOD}")
    assert (problem.line, problem.column) == place
    assert problem.code == "forbidden_import"
    assert words in problem.message


def test_allowed_imports():
    modules = "pandas numpy pandas_ta talib math datetime typing hindsight statistics collections itertools functools"
    modules += " dataclasses enum decimal fractions random bisect heapq collections.abc numpy.linalg"
    imports = "".join(f"import {module}\n" for module in modules.split())
    assert check_source(f"{imports}from hindsight import Strategy, Param, Order, Indicator, ta\n{GOOD}") == []


@pytest.mark.parametrize("name", ["eval", "exec", "open", "__import__", "compile", "input", "globals", "breakpoint"])
def test_forbidden_names(name):
    (problem,) = check_source(in_on_data(f"{name}('1')"))
    assert (problem.line, problem.column, problem.code) == (5, 9, "forbidden_name")


def test_a_forbidden_name_that_the_source_gives_a_meaning_is_fine():
    assert check_source(in_on_data("open, high = data.open, data.high", "self.log(open + high)")) == []


@pytest.mark.parametrize("text", ["().__class__.__mro__", "f.__globals__", "(1).__reduce_ex__(2)", "e.tb_frame"])
def test_attributes_that_lead_out_of_the_language(text):
    problems = check_source(in_on_data("f = e = 1", f"self.log({text})"))
    assert {problem.code for problem in problems} == {"forbidden_attribute"}


@pytest.mark.parametrize("text", ["type(self).__name__", "self.__class__.__name__", "super().__init__", "__name__"])
def test_harmless_dunders_are_fine(text):
    assert check_source(in_on_data(f"self.log({text})")) == []


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("self.byu(amount=1)", "unknown_attribute", "Did you mean self.buy?"),
        ("self.get_equty()", "unknown_attribute", "Did you mean self.get_equity?"),
        ("self.log(self.n_hold)", "unknown_attribute", "Did you mean self.n_held?"),
        ("self.position = 3", "reserved_name", "belongs to Strategy"),
        ("self.set_stop_los(3)", "unknown_attribute", "Did you mean self.set_stop_loss?"),
        ("self.set_stop_loss()", "missing_argument", "needs price"),
        ("self.buy()", "no_size", "amount, notional or equity_ratio"),
        ("self.buy(1, notional=5)", "two_sizes", "amount and notional"),
        ("self.buy(amount=-1)", "bad_size", "above zero"),
        ("self.sell(equity_ratio=2)", "bad_size", "leverage="),
        ("self.buy(1, stoploss=5)", "unknown_argument", "Did you mean stop_loss?"),
        ("self.buy(1, post_only=True)", "bad_order", "give limit="),
        ("self.sell(1, reduce_only=True, stop_loss=5)", "bad_order", "opens nothing"),
        ("self.buy(1, lever=5)", "unknown_argument", "Did you mean leverage?"),
        ("self.buy(1, 2, 3)", "too_many_arguments", "at most 2"),
        ("self.history()", "missing_argument", "needs n"),
        ("self.close_position(percent=5)", "unknown_argument", "Did you mean percentage?"),
        ("self.log(data.clsoe)", "unknown_bar_field", "Did you mean close?"),
        ("self.log(data['colse'])", "unknown_bar_field", "Did you mean close?"),
        ("np.mean([1])", "undefined_name", "import numpy as np"),
        ("buy(amount=1)", "undefined_name", "Did you mean self.buy?"),
        ("crosed_above(1, 2)", "undefined_name", "Did you mean crossed_above?"),
        ("self.fast = Param(3)", "param_place", "class body"),
    ],
)
def test_mistakes_in_a_method_are_errors_with_a_hint(line, code, words):
    (problem,) = check_source(in_on_data(line))
    assert (problem.line, problem.code, problem.severity) == (5, code, "error")
    assert words in problem.message


@pytest.mark.parametrize(
    "lines",
    [
        ["setattr(self, 'weight', 2)", "self.log(self.weight)"],
        ["self.total = 1", "self.log(self.total)"],
        ["for self.i_leg in range(3):", "    self.log(self.i_leg)"],
        ["self.a, (self.b, *self.c) = 1, (2, 3)", "self.log(self.a, self.b)"],
        ["data = data.to_series()", "self.log(data.index)"],
        ["f = lambda data: data.whatever", "self.log(f(1))"],
        ["def f(self):", "    return self.byu", "self.log(f(1))"],
        ["sizes = {'amount': 1}", "self.buy(**sizes)"],
        ["self.buy(amount=None, notional=5)"],
        ["self.buy(0.1, 5)"],
        ["match data.close:", "    case {'a': x, **rest}: self.log(x, rest)", "    case [*more]: self.log(more)"],
        ["try:", "    pass", "except ValueError as error:", "    self.log(error)"],
        ["with self.lock() as held: self.log(held)", "self.lock = None"],
        ["self.log([x for x in range(3) if (y := x)], y)"],
        ["global total", "total = 1"],
        ["self.log(ta.rsi, hasattr(self, 'x'))"],
        ["order = self.buy(1, limit=9.0, post_only=True, good_for_bars=3)", "order.modify(limit=8.0)"],
        ["self.buy(1, stop=9.0, stop_loss=8.0, take_profit=[(0.5, 10.0), (0.5, 11.0)], trailing_ratio=0.1)"],
        ["self.sell(1, limit=9.0, reduce_only=True, stop_loss=None, post_only=False)", "self.set_stop_loss(8.0)"],
        ["type Number = int", "def f[T](x: T) -> T: return x", "self.log(f(1))"],
    ],
)
def test_no_false_alarms(lines):
    assert check_source(in_on_data(*lines)) == []


def test_an_attribute_from_an_unknown_base_is_not_doubted():
    source = "import talib\nclass S(talib.Mixin, Strategy):\n    def initialize(self): self.byu()\n"
    assert check_source(source) == []


def test_a_class_of_the_source_may_stand_between():
    source = (
        "class Base(Strategy):\n    def initialize(self):\n        self.n_bars_seen = 0\n"
        "class Mine(Base):\n    def on_data(self, data):\n        self.n_bars_seen += 1\n"
    )
    assert check_source(source) == []


def test_what_is_only_doubtful_is_a_warning():
    problems = check_source(in_on_data("print(self.zzz_unheard_of)"))
    assert [(problem.code, problem.severity) for problem in problems] == [
        ("print", "warning"),
        ("unknown_attribute", "warning"),
    ]
    assert not has_errors(problems)


def test_bad_parameters_are_shown_where_they_stand():
    source = GOOD.replace("Param(20, min=5, max=100)", "Param(200, min=5, max=100)")
    (problem,) = check_source(source)
    assert (problem.line, problem.column, problem.code) == (2, 18, "bad_param")
    assert "between 5 and 100" in problem.message


def test_a_warm_up_that_cannot_be_read_is_an_error():
    assert check_source(GOOD.replace("S(Strategy):", "S(Strategy):\n    warmup_bars = 50")) == []
    (problem,) = check_source(GOOD.replace("S(Strategy):", "S(Strategy):\n    warmup_bars = 5 * 10"))
    assert (problem.line, problem.code) == (2, "bad_warmup")


def test_a_parameter_cannot_take_a_name_of_strategy():
    (problem,) = check_source(GOOD.replace("fast", "symbol"))
    assert problem.code == "reserved_name"


def test_columns_count_characters_not_bytes():
    assert found(in_on_data("é = 'é'; self.byu(é)")) == [(5, 23, "unknown_attribute")]


def test_init_may_exist_but_not_ask_for_anything():
    init = "    def __init__(self):\n        self.x = 1\n"
    assert check_source(GOOD + init) == []
    assert [p.code for p in check_source(GOOD + "    def __init__(self, x):\n        pass\n")] == ["wrong_signature"]
    early = "    def __init__(self):\n        self.x = self.get_equity()\n"
    assert [p.code for p in check_source(GOOD + early)] == ["init_method"]


def test_a_flood_of_problems_is_cut_short():
    assert len(check_source(in_on_data(*(f"undefined_{i}()" for i in range(2000))))) == MAX_PROBLEMS


LINES = st.sampled_from(
    [
        *GOOD.splitlines(),
        "@property",
        "def on_data(",
        "self.buy(1,)",
        "\tx = [",
        "class T(S):",
        "import os",
        "é = '\u2028'",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.text() | st.lists(LINES, max_size=15).map("\n".join) | st.binary())
def test_the_check_never_raises(source):
    for problem in check_source(source):
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.message


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(GOOD)), st.integers(0, 12), st.text(max_size=8))
def test_the_check_never_raises_on_a_text_in_the_middle_of_typing(at, n_removed, typed):
    check_source(GOOD[:at] + typed + GOOD[at + n_removed :])


@pytest.mark.parametrize(
    "source",
    [
        "x = " + "[" * 150 + "]" * 150,
        "x = " + "(" * 300 + ")" * 300,
        "x = " + " + ".join(["1"] * 40_000),
        "x = " + ".a" * 50_000,
        "x = a" + ".a" * 50_000,
        "x = a" + "()" * 50_000,
        "x = " + "not " * 40_000 + "1",
        "\n".join("  " * i + "if x:" for i in range(99)),
        "x = '" + "\\N{BULLET}" * 1000 + "'",
        "x = " + "9" * 50_000,
        "lambda: " * 20_000 + "1",
        "f'" + "{" * 150 + "}" * 150 + "'",
        "x = " + "1 if 1 else " * 15_000 + "1",
        "class S(Strategy, " + "A, " * 20_000 + "): pass",
    ],
    ids=lambda source: source[:12],
)
def test_absurd_texts_end_in_problems_not_in_a_crash(source):
    assert check_source(source)
