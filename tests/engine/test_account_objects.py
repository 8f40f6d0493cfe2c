"""self.position and self.portfolio read any account that knows the facts: the interface is theirs, not the engine's."""

from backtests.engine.strategy.position import OpenPortfolio, OpenPosition


class HandMadeAccount:
    cash, wallet_balance, margin_balance, available_balance, margin_ratio = 900.0, 1000.0, 1020.0, 900.0, 0.02

    def position_qty(self, i_symbol=0):
        return (2.0, -1.0, 0.0)[i_symbol]

    def entry_price(self, i_symbol=0):
        return (100.0, 50.0, float("nan"))[i_symbol]

    def position_leverage(self, i_symbol=0):
        return (2.0, 1.0, 0.0)[i_symbol]

    def initial_margin(self, i_symbol=0):
        return (100.0, 50.0, 0.0)[i_symbol]

    def unrealised_pnl(self, i_symbol=0):
        return (20.0, 0.0, 0.0)[i_symbol]

    def liquidation_price(self, i_symbol=0):
        return (51.0, 99.0, None)[i_symbol]


SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


def test_positions_and_portfolio_read_an_account_made_by_hand():
    account = HandMadeAccount()
    positions = {symbol: OpenPosition(account, i, symbol) for i, symbol in enumerate(SYMBOLS)}
    long, short, flat = positions.values()
    assert (long.size, long.entry_price, long.leverage, long.margin_used) == (2, 100, 2, 100)
    assert (long.unrealized_pnl, long.liquidation_price, long.position_type) == (20, 51, "long")
    assert (short.position_type, short.is_short, bool(short)) == ("short", True, True)
    assert (flat.position_type, flat.is_flat, bool(flat), repr(flat)) == ("flat", True, False, "<SOLUSDT flat 0>")
    portfolio = OpenPortfolio(account, positions)
    assert (portfolio.cash, portfolio.wallet_balance, portfolio.equity) == (900, 1000, 1020)
    assert (portfolio.available_balance, portfolio.margin_ratio) == (900, 0.02)
    assert list(portfolio.positions) == ["BTCUSDT", "ETHUSDT"]
