"""The names that others check the engine by, with their signatures; and that every public name is there."""

import inspect
from dataclasses import fields
from inspect import Parameter, signature

import pytest

import backtests.engine
from backtests.engine import (
    MarginTier,
    Param,
    RequestError,
    Strategy,
    funding_payment,
    liquidation_price,
    maintenance_margin,
    make_strategy,
)

TIERS = (MarginTier(0.0, 50_000.0, 0.004, 125.0, 0.0), MarginTier(50_000.0, 250_000.0, 0.005, 100.0, 50.0))


def keywords_of(function):
    """name -> default of a function that takes keywords only."""
    parameters = signature(function).parameters.values()
    assert {parameter.kind for parameter in parameters} == {Parameter.KEYWORD_ONLY}
    return {parameter.name: parameter.default for parameter in parameters}


def test_the_formulas_take_exactly_these_keywords():
    needed = Parameter.empty
    assert keywords_of(liquidation_price) == {
        **dict.fromkeys(("side", "qty", "entry_price", "wallet_balance", "tiers"), needed),
        "other_maintenance_margin": 0.0,
        "other_unrealized_pnl": 0.0,
    }
    assert list(keywords_of(liquidation_price))[:5] == ["side", "qty", "entry_price", "wallet_balance", "tiers"]
    assert keywords_of(funding_payment) == dict.fromkeys(("position_qty", "mark_price", "rate"), needed)
    assert keywords_of(maintenance_margin) == dict.fromkeys(("notional", "tiers"), needed)
    assert signature(liquidation_price).return_annotation == float | None
    assert {signature(f).return_annotation for f in (funding_payment, maintenance_margin)} == {float}


def test_the_formulas_answer_plain_numbers():
    level = liquidation_price(side=1, qty=1, entry_price=100, wallet_balance=10, tiers=list(TIERS))
    assert type(level) is float
    assert liquidation_price(side=1, qty=1, entry_price=100, wallet_balance=100, tiers=TIERS) is None
    assert liquidation_price(side=-1, qty=1, entry_price=100, wallet_balance=-200, tiers=TIERS) is None
    assert type(funding_payment(position_qty=1, mark_price=100, rate=0)) is float
    assert type(maintenance_margin(notional=0, tiers=TIERS)) is float


@pytest.mark.parametrize(
    "wrong",
    [
        *({"side": 0}, {"side": "long"}, {"entry_price": -1.0}),
        *({"qty": 0.0}, {"qty": float("nan")}, {"qty": float("inf")}),
        *({"wallet_balance": float("nan")}, {"other_unrealized_pnl": float("inf")}),
    ],
)
def test_a_position_that_cannot_be_is_refused(wrong):
    position = {"side": 1, "qty": 1.0, "entry_price": 100.0, "wallet_balance": 10.0}
    with pytest.raises(ValueError, match="side is"):
        liquidation_price(tiers=TIERS, **{**position, **wrong})


def test_a_margin_tier_has_these_fields_in_this_order():
    names = [field.name for field in fields(MarginTier)]
    assert names == ["floor", "cap", "maintenance_rate", "max_leverage", "cumulative"]
    assert all(p.kind is Parameter.POSITIONAL_OR_KEYWORD for p in signature(MarginTier).parameters.values())


@pytest.mark.parametrize("name", backtests.engine.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name):
    found = getattr(backtests.engine, name)
    assert inspect.getdoc(found), f"{name} has no docstring"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'liquidate'"):
        _ = backtests.engine.liquidate


class Counter(Strategy):
    n = Param(3, min=1, max=9)


def test_a_class_becomes_a_strategy_with_its_parameters_in_place():
    assert make_strategy(Counter).n == 3
    assert make_strategy(Counter, {"n": 5}).n == 5
    with pytest.raises(RequestError, match="at most 9"):
        make_strategy(Counter, {"n": 10})
    with pytest.raises(RequestError, match="no parameter 'm'"):
        make_strategy(Counter, {"m": 1})
