"""The reference names exactly what the engine offers: neither a name that does not work nor one left out."""

import inspect
import re
from pathlib import Path

import numpy as np
import pandas_ta
import pytest

from backtests.engine import indicators
from backtests.engine.request import Bars, Feed, Instrument, SymbolFeed
from backtests.engine.strategy import Bar, Candles, Order, Strategy
from backtests.engine.strategy.position import OpenPortfolio, OpenPosition
from backtests.engine.strategy.source import METHODS, PUBLIC_NAMES, register_hindsight
from strategies import api_reference
from strategies.name_checks import HINDSIGHT_NAMES
from strategies.self_checks import call_shapes


def public_names(cls):
    return {name for name in dir(cls) if not name.startswith("_")}


def make_candles():
    """An object: its columns are set when it is made."""
    times, price = np.array([60_000]), np.array([1.0])
    return Candles(Feed((SymbolFeed(Instrument("X"), Bars(times, *[price] * 5)),)), times, 0)


@pytest.mark.parametrize(
    ("owner", "cls", "left_out"),
    [
        ("self", Strategy, set()),
        ("data", Bar, set()),
        ("candles", make_candles(), {"find_changes"}),  # for the engine, as crossings of an indicator
        ("order", Order, set()),
        ("position", OpenPosition, set()),
        ("portfolio", OpenPortfolio, set()),
        ("indicator", indicators.Indicator, {"crossings"}),
    ],
)
def test_the_names_are_those_of_the_class(owner, cls, left_out):
    assert set(api_reference.names_of(owner)) == public_names(cls) - left_out


def test_the_global_names_are_those_that_a_source_finds():
    assert set(api_reference.names_of("global")) == set(PUBLIC_NAMES)
    module = register_hindsight()
    assert {name for name in vars(module) if not name.startswith("_")} == set(HINDSIGHT_NAMES)


def test_the_hooks_are_called_with_the_arguments_named():
    assert {entry.name: entry.signature for entry in api_reference.HOOKS} == {
        name: f"({', '.join(arguments)})" for name, arguments in METHODS.items()
    }


@pytest.mark.parametrize("name", sorted(call_shapes()))
def test_methods_take_the_arguments_named(name):
    shape = call_shapes()[name]
    offered = list(inspect.signature(getattr(Strategy, name)).parameters.values())[1:]
    by_kind = {kind: [p.name for p in offered if p.kind is kind] for kind in inspect._ParameterKind}
    assert list(shape.positional) == by_kind[inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert shape.keywords == set(shape.positional) | set(by_kind[inspect.Parameter.KEYWORD_ONLY])
    assert shape.has_varargs == bool(by_kind[inspect.Parameter.VAR_POSITIONAL])
    assert shape.has_varkw == bool(by_kind[inspect.Parameter.VAR_KEYWORD])
    assert shape.n_required == sum(
        p.default is p.empty and p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for p in offered
    )


def test_the_indicators_named_exist():
    assert [name for name in api_reference.names_of("ta") if not callable(getattr(pandas_ta, name, None))] == []


def test_no_name_stands_twice_and_every_one_is_explained():
    names = [(entry.owner, entry.name) for entry in api_reference.API]
    assert len(names) == len(set(names))
    assert all(len(entry.doc) > 10 and entry.doc.endswith((".", "...")) for entry in api_reference.API)
    shown = [entry for _, entries in api_reference.reference_groups() for entry in entries]
    assert sorted(shown, key=str) == sorted(api_reference.API, key=str)


ROOT = Path(__file__).parents[2]
CODES = re.compile(r'(?:Finding|UnreadableSource)\([^"]*"(\w+)"')


def test_the_page_for_users_names_everything():
    page = (ROOT / "docs" / "reference" / "strategy-api.md").read_text(encoding="utf-8")
    assert [entry.name for entry in api_reference.API if not re.search(rf"\b{entry.name}\b", page)] == []
    codes = {code for path in (ROOT / "strategies").glob("*.py") for code in CODES.findall(path.read_text("utf-8"))}
    assert len(codes) > 20
    assert [code for code in codes if f"`{code}`" not in page] == []
