"""Builders of rows for tests."""

import uuid

from django.utils import timezone

from backtests.engine.request import RunRequest
from backtests.models import BacktestRun
from strategies.models import Strategy, StrategyVersion

BUY_ONCE = """\
from hindsight import Strategy


class BuyOnce(Strategy):
    def on_data(self, bar):
        if self.get_position_size() == 0:
            self.buy(notional=100)
"""


def build_version(owner, source=BUY_ONCE, name="Buy once", param_schema=()):
    """The first version of a new strategy of `owner`, as it would be after a save."""
    strategy, _ = Strategy.objects.get_or_create(owner=owner, name=name)
    number = strategy.versions.count() + 1
    return StrategyVersion.objects.create(
        strategy=strategy, number=number, source=source, param_schema=list(param_schema)
    )


def build_run(owner, status="queued", version=None, **fields):
    """A run of the January of 2025; in any status but running, which only a claim makes."""
    ends = {
        "queued": {},
        "succeeded": {"result_hash": "f" * 64, "artifact_dir": f"{uuid.uuid4()}/1-{uuid.uuid4()}"},
        "failed": {"failure_code": "strategy_error", "failure": {"message": "division by zero"}},
        "cancelled": {"cancel_requested": True},
    }[status]
    request = RunRequest.parse(
        {"market": "usdm", "symbol": "BTCUSDT", "timeframe": "1h", "from": "2025-01-01", "to": "2025-02-01"}
    )
    values = {
        "owner": owner,
        "strategy_version": version or build_version(owner),
        "request": request.to_json(),
        "market": "usdm",
        "symbol": "BTCUSDT",
        "timeframe": "1h",
        "from_ms": request.from_ms,
        "to_ms": request.to_ms,
        "status": status,
        "finished_at": None if status == "queued" else timezone.now(),
        **ends,
        **fields,
    }
    return BacktestRun.objects.create(**values)
