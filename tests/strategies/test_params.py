"""Parameters are read from the text and filled in; the engine's own Param must agree."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests.engine.errors import RequestError
from backtests.engine.strategy import Param
from strategies.params import ParamError, read_param_schema, read_warmup_bars, resolve_params


def read(declaration, extra=""):
    return read_param_schema(f"class S(Strategy):\n    x = {declaration}\n{extra}")


SCHEMA = read_param_schema(
    "class S(Strategy):\n"
    "    fast = Param(20, min=5, max=100, step=5)\n"
    "    ratio: float = Param(0.5, min=0, max=1)\n"
    "    is_short = Param(False)\n"
    "    mode = Param('slow', choices=['slow', 'quick'])\n"
)
DEFAULTS = {"fast": 20, "ratio": 0.5, "is_short": False, "mode": "slow"}


def test_parameters_are_read_in_order_with_their_bounds():
    assert [spec["name"] for spec in SCHEMA] == ["fast", "ratio", "is_short", "mode"]
    assert SCHEMA[0] == {
        "name": "fast",
        "type": "int",
        "default": 20,
        "min": 5,
        "max": 100,
        "step": 5,
        "choices": None,
    }
    assert [spec["type"] for spec in SCHEMA] == ["int", "float", "bool", "str"]
    assert SCHEMA[3]["choices"] == ["slow", "quick"]


@pytest.mark.parametrize(
    ("declaration", "kind", "default"),
    [
        ("Param(-3)", "int", -3),
        ("Param(default=2.5)", "float", 2.5),
        ("hindsight.Param(True)", "bool", True),
        ("Param(1, choices=(1, 2))", "int", 1),
        ("Param(1.0, step=0.5)", "float", 1.0),
        ("Param(10, min=0.5)", "int", 10),
    ],
)
def test_readable_declarations(declaration, kind, default):
    (spec,) = read(declaration)
    assert (spec["type"], spec["default"], type(spec["default"])) == (kind, default, type(default))


@pytest.mark.parametrize(
    "declaration",
    [
        "Param()",
        "Param(None)",
        "Param([1])",
        "Param(5, 10)",
        "Param(length)",
        "Param(2 ** 3)",
        "Param(5, min=6)",
        "Param(5, max=4)",
        "Param(5, min=8, max=6)",
        "Param(5, step=0)",
        "Param(5, step=0.5)",
        "Param(5, choices=[])",
        "Param(5, choices=[6])",
        "Param(5, choices=[5, 'a'])",
        "Param('a', min=1)",
        "Param(True, max=1)",
        "Param(1, lowest=0)",
        "Param(1e400)",
        "Param(10**400)",
        "Param(99999999999999999999)",
        f"Param({'a' * 201!r})",
        r"Param('\0')",
        r"Param('\ud800')",
        r"Param('a', choices=['a', '\udfff'])",
        "Param(**options)",
        "int(5)",
    ],
)
def test_declarations_that_make_no_sense_are_left_out(declaration):
    assert read(declaration) == []


def test_parameters_of_ancestors_count_and_the_nearest_declaration_wins():
    source = (
        "class Base(Strategy):\n    a = Param(1)\n    b = Param(2)\n    c = Param(3)\n"
        "class Mine(Base):\n    b = Param(5)\n    c = 7\n"
    )
    assert [(spec["name"], spec["default"]) for spec in read_param_schema(source)] == [("a", 1), ("b", 5)]


@pytest.mark.parametrize("source", ["", "def f(:", "x = 1", "class A: pass", "\0", b"\xff", "(" * 500])
def test_a_text_that_is_no_strategy_has_no_parameters(source):
    assert read_param_schema(source) == []


def test_values_that_are_not_given_are_the_defaults():
    assert resolve_params(SCHEMA, {}) == DEFAULTS
    assert resolve_params(SCHEMA, {"fast": "", "mode": None}) == DEFAULTS


@pytest.mark.parametrize(
    ("given_values", "expected"),
    [
        ({"fast": "30"}, {"fast": 30}),
        ({"fast": 30.0}, {"fast": 30}),
        ({"fast": 33}, {"fast": 33}),  # the step is for searching, not a rule
        ({"ratio": "1"}, {"ratio": 1.0}),
        ({"ratio": 0}, {"ratio": 0.0}),
        ({"is_short": "true"}, {"is_short": True}),
        ({"is_short": True}, {"is_short": True}),
        ({"is_short": "off"}, {"is_short": False}),
        ({"mode": "quick"}, {"mode": "quick"}),
    ],
)
def test_values_from_forms_and_json_are_converted(given_values, expected):
    resolved = resolve_params(SCHEMA, given_values)
    assert resolved == DEFAULTS | expected
    assert [type(value) for value in resolved.values()] == [int, float, bool, str]


@pytest.mark.parametrize(
    ("given_values", "name", "code", "words"),
    [
        ({"fast": 4}, "fast", "out_of_range", "between 5 and 100"),
        ({"fast": "101"}, "fast", "out_of_range", "between 5 and 100"),
        ({"fast": 20.5}, "fast", "not_whole", "whole"),
        ({"fast": "many"}, "fast", "not_a_number", "many"),
        ({"fast": True}, "fast", "not_a_number", "number"),
        ({"fast": [20]}, "fast", "not_a_number", "number"),
        ({"ratio": float("nan")}, "ratio", "not_a_number", "number"),
        ({"ratio": "inf"}, "ratio", "not_a_number", "number"),
        ({"ratio": 10**400}, "ratio", "not_a_number", "number"),
        ({"is_short": "perhaps"}, "is_short", "not_yes_or_no", "true or false"),
        ({"is_short": 1}, "is_short", "not_yes_or_no", "true or false"),
        ({"mode": "fast"}, "mode", "unknown_choice", "slow, quick"),
        ({"mode": 5}, "mode", "not_text", "text"),
        ({"slow": 50}, "slow", "unknown_param", "fast, ratio"),
    ],
)
def test_a_bad_value_names_its_parameter_and_what_it_takes(given_values, name, code, words):
    with pytest.raises(ParamError) as caught:
        resolve_params(SCHEMA, given_values)
    assert (caught.value.name, caught.value.code) == (name, code)
    assert words in caught.value.message


ANY_VALUE = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()))


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(list(DEFAULTS)) | st.text(max_size=5), ANY_VALUE))
def test_any_values_resolve_or_are_refused_by_name(values):
    try:
        resolved = resolve_params(SCHEMA, values)
    except ParamError as error:
        refused = error
    else:
        assert set(resolved) == set(DEFAULTS)
        assert 5 <= resolved["fast"] <= 100
        assert resolve_params(SCHEMA, resolved) == resolved
        return
    assert refused.name in values
    assert refused.message


DEFAULT_VALUES = st.one_of(
    st.integers(-1000, 1000), st.floats(-1e6, 1e6, allow_nan=False), st.booleans(), st.text("abc", max_size=3)
)


@settings(deadline=None)
@given(DEFAULT_VALUES, st.sampled_from([None, -50, 0, 2.5]), st.sampled_from([None, 0, 40, 1e3]), ANY_VALUE)
def test_what_resolves_here_resolves_to_the_same_in_the_engine(default, low, high, value):
    bounds = {name: bound for name, bound in (("min", low), ("max", high)) if bound is not None}
    words = "".join(f", {name}={bound!r}" for name, bound in bounds.items())
    schema = read(f"Param({default!r}{words})")
    try:
        resolved = resolve_params(schema, {"x": value}) if schema else None
    except ParamError:
        return
    param = Param(default, **bounds)
    if resolved is None:
        # A declaration refused here: the engine refuses its default, or it bounds what has no order.
        try:
            param.resolve("x", default)
        except RequestError:
            return
        assert isinstance(default, bool | str)
        return
    engine_value = param.resolve("x", resolved["x"])
    assert engine_value == resolved["x"]
    assert type(engine_value) is type(resolved["x"])


@pytest.mark.parametrize(
    ("body", "n_bars"),
    [
        ("warmup_bars = 200", 200),
        ("warmup_bars: int = 200", 200),
        ("pass", 0),
        ("warmup_bars = 2 * 100", 0),
        ("warmup_bars = True", 0),
        ("warmup_bars = -5", 0),
        ("warmup_bars = 100_001", 0),
    ],
)
def test_the_warm_up_is_a_plain_number_of_the_class(body, n_bars):
    assert read_warmup_bars(f"class S(Strategy):\n    {body}\n") == n_bars


def test_the_warm_up_of_an_ancestor_counts_unless_it_is_given_anew():
    base = "class Base(Strategy):\n    warmup_bars = 7\n"
    assert read_warmup_bars(base + "class S(Base): pass\n") == 7
    assert read_warmup_bars(base + "class S(Base):\n    warmup_bars = 9\n") == 9
    assert read_warmup_bars("def f(:") == 0


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "a" * 201])
def test_a_text_that_no_database_or_page_takes_is_refused(text):
    with pytest.raises(ParamError) as caught:
        resolve_params(read("Param('a')"), {"x": text})
    assert caught.value.code == "not_text"
