"""One month of the exchange's own candles through every door, against a slow computation that shares no code with us.

The computation below reads the CSV files as text and works in Decimal: 5m closes of BTCUSDT futures, January 2025,
the SMA crossover sample, fills at the close, taker fee 0.04 %, quantity step 0.001, no leverage. Funding is not held
for that month, so the run warns and charges none.
"""

import csv
import json
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal, getcontext
from io import StringIO
from itertools import pairwise
from math import sqrt
from pathlib import Path

import pytest
from django.core.management import call_command

from backtests import tasks
from backtests.models import BacktestRun
from strategies.services import EXAMPLES, copy_example

getcontext().prec = 50
FEE, STEP, RATIO, START = Decimal("0.0004"), Decimal("0.001"), Decimal("0.95"), Decimal(10_000)
FAST, SLOW = 20, 50
BARS_A_DAY = 288

REQUEST = {"market": "usdm", "symbol": "BTCUSDT", "timeframe": "5m", "from": "2025-01-01", "to": "2025-02-01"}


@dataclass
class SlowResult:
    equity: list[Decimal] = field(default_factory=list)
    trade_pnls: list[Decimal] = field(default_factory=list)
    n_fills: int = 0


def read_closes(folder: Path) -> list[Decimal]:
    closes = []
    for file in sorted((folder / "binance/futures/BTCUSDT/5m").glob("*.csv")):
        with file.open() as lines:
            closes += [Decimal(row["close"]) for row in csv.DictReader(lines)]
    return closes


def moving_average(closes: list[Decimal], i: int, length: int) -> Decimal | None:
    return sum(closes[i - length + 1 : i + 1]) / length if i >= length - 1 else None


def trade_slowly(closes: list[Decimal]) -> SlowResult:
    wallet, qty, entry, entry_fee = START, Decimal(0), Decimal(0), Decimal(0)
    result = SlowResult()
    before: tuple[Decimal | None, Decimal | None] = (None, None)
    for i, close in enumerate(closes):
        now = (moving_average(closes, i, FAST), moving_average(closes, i, SLOW))
        if before[1] is not None:
            if before[0] <= before[1] and now[0] > now[1] and qty == 0:
                qty = (RATIO * wallet / (close * (1 + FEE)) / STEP).to_integral_value(ROUND_FLOOR) * STEP
                entry, entry_fee = close, qty * close * FEE
                wallet -= entry_fee
                result.n_fills += 1
            elif before[0] >= before[1] and now[0] < now[1] and qty > 0:
                gross, fee = qty * (close - entry), qty * close * FEE
                wallet += gross - fee
                result.trade_pnls.append(gross - fee - entry_fee)
                result.n_fills += 1
                qty = Decimal(0)
        before = now
        result.equity.append(wallet + qty * (close - entry))
    return result


def metrics_slowly(slow: SlowResult) -> dict[str, float]:
    midnights = [START, *slow.equity[BARS_A_DAY - 1 :: BARS_A_DAY]]
    returns = [float(b / a - 1) for a, b in pairwise(midnights)]
    mean = sum(returns) / len(returns)
    deviation = sqrt(sum((r - mean) ** 2 for r in returns) / (len(returns) - 1))
    downside = sqrt(sum(min(r, 0.0) ** 2 for r in returns) / len(returns))
    peak, deepest = START, Decimal(0)
    for equity in slow.equity:
        peak = max(peak, equity)
        deepest = min(deepest, equity / peak - 1)
    wins = [pnl for pnl in slow.trade_pnls if pnl > 0]
    losses = [pnl for pnl in slow.trade_pnls if pnl < 0]
    total = float(slow.equity[-1] / START)
    return {
        "total_return": total - 1,
        "annualized_return": total ** (365 / 31) - 1,
        "daily_returns_std": deviation,
        "sharpe_ratio": mean / deviation * sqrt(365),
        "sortino_ratio": mean / downside * sqrt(365),
        "max_drawdown": float(deepest),
        "total_trades": len(slow.trade_pnls),
        "win_rate": len(wins) / len(slow.trade_pnls),
        "profit_factor": float(sum(wins) / -sum(losses)),
        "avg_win": float(sum(wins) / len(wins)),
        "avg_loss": float(sum(losses) / len(losses)),
        "avg_leverage": 1.0,
        "max_leverage": 1.0,
        "liquidations": 0,
        "liquidation_losses": 0.0,
    }


@pytest.fixture
def january(transactional_db, shared_data, hindsight_home):
    # Real transactions: the run's heartbeat looks at its row from a thread, and a longer run beats.
    call_command("import_candles", str(shared_data / "binance/futures"), "--json", stdout=StringIO())
    return shared_data


def run_command(path: Path) -> dict:
    out = StringIO()
    arguments = [f"--{name}={value}" for name, value in REQUEST.items()]
    call_command("run_backtest", str(path), *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


@pytest.mark.slow
def test_page_api_and_command_agree_with_the_slow_computation(january, owner, owner_client, tmp_path):
    closes = read_closes(january)
    assert len(closes) == 8928
    slow = trade_slowly(closes)
    expected = metrics_slowly(slow)

    version = copy_example(owner, "sma_crossover")
    answer = owner_client.post(
        "/api/v1/backtests/", {"strategy": str(version.strategy_id), **REQUEST}, content_type="application/json"
    )
    assert answer.status_code == 201, answer.content
    run = BacktestRun.objects.get(id=answer.json()["id"])
    tasks.run_backtest(str(run.id))
    from_api = owner_client.get(f"/api/v1/backtests/{run.id}/").json()
    assert from_api["status"] == "succeeded", from_api

    source = tmp_path / "sma.py"
    source.write_text(next(example.source for example in EXAMPLES if example.slug == "sma_crossover"))
    from_command = run_command(source)

    assert from_command["status"] == "succeeded"
    assert from_command["n_bars"] == 8928
    assert from_command["n_fills"] == slow.n_fills
    assert from_command["n_trades"] == len(slow.trade_pnls)
    assert from_command["final_equity"] == pytest.approx(float(slow.equity[-1]), rel=1e-9)
    assert from_command["result_hash"] == from_api["result_hash"]
    for name, value in expected.items():
        assert from_command["metrics"][name] == pytest.approx(value, rel=1e-9, abs=1e-12), name
        assert from_api["metrics"][name] == from_command["metrics"][name], name

    page = owner_client.get(f"/runs/{run.id}/").content.decode()
    assert f"{abs(expected['total_return']) * 100:.2f}" in page
    assert str(len(slow.trade_pnls)) in page
