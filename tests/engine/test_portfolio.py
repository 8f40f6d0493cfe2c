"""The domain objects alone, as a test or a notebook uses them."""

from datetime import UTC, datetime

import pytest

from backtests.engine import (
    ActionType,
    BacktestError,
    DataError,
    Instrument,
    LeverageError,
    LiquidationError,
    MarginError,
    OrderError,
    Portfolio,
    PositionType,
    RequestError,
    Symbol,
    TradingMode,
)
from backtests.engine.kernels.types import Reason
from tests.engine.scenarios import SMALL_TIERS


@pytest.fixture
def portfolio():
    return Portfolio(10_000.0, TradingMode.FUTURES, 20.0, taker_fee=0.001)


def test_buying_opens_a_long_and_binds_margin(portfolio):
    assert portfolio.buy("BTCUSDT", 0.5, 20_000.0, 10.0)
    position = portfolio.positions["BTCUSDT"]
    assert (position.size, position.entry_price, position.leverage) == (0.5, 20_000.0, 10.0)
    assert (position.position_type, position.margin_used) == (PositionType.LONG, 1000.0)
    assert portfolio.cash == 10_000.0 - 10.0 - 1000.0
    assert portfolio.get_position_size("BTCUSDT") == 0.5
    assert portfolio.get_position_size("ETHUSDT") == 0.0
    assert portfolio.calculate_portfolio_value({"BTCUSDT": 21_000.0}) == 10_000.0 - 10.0 + 500.0


def test_selling_opens_a_short_on_futures_only(portfolio):
    assert portfolio.sell("BTCUSDT", 1.0, 20_000.0, 5.0)
    assert portfolio.positions["BTCUSDT"].position_type is PositionType.SHORT
    spot = Portfolio(10_000.0, TradingMode.SPOT, 1.0)
    assert not spot.sell("BTCUSDT", 0.1, 20_000.0)
    assert spot.last_refusal == Reason.SPOT_SHORT
    assert spot.buy("BTCUSDT", 0.1, 20_000.0)
    assert not spot.buy("BTCUSDT", 0.1, 20_000.0, 2.0)
    assert spot.last_refusal == Reason.LEVERAGE_ABOVE_LIMIT
    assert spot.sell("BTCUSDT", 0.1, 22_000.0)
    assert spot.cash == pytest.approx(10_000.0 + 200.0 - 2.0 - 2.2)


def test_trades_tell_what_was_done(portfolio):
    portfolio.timestamp = datetime(2025, 1, 1, tzinfo=UTC)
    portfolio.buy("BTCUSDT", 1.0, 20_000.0, 10.0)
    portfolio.timestamp = datetime(2025, 1, 2, tzinfo=UTC)
    assert portfolio.close_position("BTCUSDT", 50.0, price=21_000.0)
    bought, sold = portfolio.trades
    assert (bought.action, sold.action) == (ActionType.BUY, ActionType.SELL)
    assert (sold.quantity, sold.price, sold.pnl, sold.margin_used) == (0.5, 21_000.0, 500.0, -1000.0)
    assert (bought.timestamp.day, sold.timestamp.day) == (1, 2)
    assert portfolio.positions["BTCUSDT"].timestamp == bought.timestamp
    assert portfolio.close_position("BTCUSDT")
    assert not portfolio.positions
    assert not portfolio.close_position("BTCUSDT")
    assert portfolio.last_refusal == Reason.NO_POSITION


def test_liquidation_takes_the_isolated_margin_and_no_more(portfolio):
    portfolio.buy("BTCUSDT", 1.0, 20_000.0, 10.0)
    portfolio.sell("ETHUSDT", 1.0, 1000.0, 2.0)
    position = portfolio.positions["BTCUSDT"]
    assert not position.is_liquidation_risk(18_200.0, 0.005)
    assert position.is_liquidation_risk(18_090.0, 0.005)
    assert portfolio.check_liquidations({"BTCUSDT": 18_200.0}) == []
    assert portfolio.calculate_margin_ratio() == pytest.approx(0.005 * 18_200 / 200)
    assert portfolio.check_liquidations({"BTCUSDT": 17_000.0, "ETHUSDT": 1000.0}) == ["BTCUSDT"]
    assert portfolio.trades[-1].action is ActionType.LIQUIDATION
    assert portfolio.cash == pytest.approx(10_000.0 - 20.0 - 1.0 - 2000.0 - 500.0)
    assert list(portfolio.positions) == ["ETHUSDT"]


def test_rules_of_an_instrument_apply_where_they_are_given():
    instrument = Instrument("BTCUSDT", step_size=0.01, min_notional=5.0, tiers=SMALL_TIERS)
    portfolio = Portfolio(10_000.0, TradingMode.FUTURES, 125.0, instruments={"BTCUSDT": instrument})
    assert not portfolio.buy("BTCUSDT", 0.01, 100.0)
    assert portfolio.last_refusal == Reason.BELOW_MIN_NOTIONAL
    assert not portfolio.buy("BTCUSDT", 50.0, 100.0, 100.0)
    assert portfolio.last_refusal == Reason.LEVERAGE_ABOVE_TIER
    assert portfolio.buy("BTCUSDT", 1.019, 100.0)
    assert portfolio.get_position_size("BTCUSDT") == 1.01


def test_snapshots_make_a_history(portfolio):
    portfolio.buy("BTCUSDT", 1.0, 20_000.0, 10.0)
    portfolio.record_snapshot(datetime(2025, 1, 1, tzinfo=UTC), {"BTCUSDT": 20_500.0})
    portfolio.record_snapshot(datetime(2025, 1, 2, tzinfo=UTC), {"BTCUSDT": 19_500.0})
    assert [row["equity"] for row in portfolio.portfolio_history] == [10_480.0, 9_480.0]
    assert portfolio.portfolio_history[1]["unrealized_pnl"] == -500.0
    assert portfolio.portfolio_history[0]["positions"] == {"BTCUSDT": 1.0}


@pytest.mark.parametrize("amount", [0.0, -1.0, float("nan"), float("inf")])
def test_amounts_that_can_never_trade_raise(portfolio, amount):
    with pytest.raises(OrderError):
        portfolio.buy("BTCUSDT", amount, 100.0)
    assert not portfolio.trades


def test_bad_prices_symbols_and_settings_raise(portfolio):
    for price in (0.0, -5.0, float("nan")):
        with pytest.raises(DataError):
            portfolio.buy("BTCUSDT", 1.0, price)
    with pytest.raises(OrderError):
        portfolio.buy("BTCUSDT", 1.0, 100.0, 0.5)
    with pytest.raises(OrderError):
        portfolio.close_position("BTCUSDT", 120.0)
    with pytest.raises(RequestError):
        portfolio.buy("not a symbol", 1.0, 100.0)
    for capital in (0.0, -1.0, float("nan")):
        with pytest.raises(BacktestError):
            Portfolio(capital, TradingMode.FUTURES, 10.0)
    assert Symbol("ETHUSDT") == "ETHUSDT"


def test_a_refusal_can_be_raised_as_what_it_means(portfolio):
    assert portfolio.buy("BTCUSDT", 1.0, 100.0)
    portfolio.raise_for_refusal()
    for call, error, words in [
        (lambda: portfolio.buy("BTCUSDT", 1e6, 100.0), MarginError, "INSUFFICIENT_MARGIN"),
        (lambda: portfolio.buy("BTCUSDT", 1.0, 100.0, 50.0), LeverageError, "LEVERAGE_ABOVE_LIMIT"),
        (lambda: portfolio.close_position("ETHUSDT", price=10.0), OrderError, "NO_POSITION"),
    ]:
        assert not call()
        with pytest.raises(error, match=words):
            portfolio.raise_for_refusal()
    assert issubclass(LeverageError, MarginError)


def test_a_ruined_account_refuses_as_liquidated():
    portfolio = Portfolio(100.0, TradingMode.FUTURES, 20.0, taker_fee=0.0)
    assert portfolio.buy("BTCUSDT", 20.0, 100.0, 20.0)
    assert portfolio.check_liquidations({"BTCUSDT": 80.0}) == ["BTCUSDT"]
    assert not portfolio.buy("BTCUSDT", 1.0, 80.0)
    with pytest.raises(LiquidationError, match="RUINED"):
        portfolio.raise_for_refusal()
