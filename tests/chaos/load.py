"""Users who ask for runs, wait for some of them, and cancel one now and then; and what their runs must come to."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import InterfaceError, OperationalError, connection

from accounts.models import User
from backtests import services
from backtests.models import BacktestRun
from strategies.models import StrategyVersion
from tests.builders import BUY_ONCE, build_candles, build_version

CROSSOVER = """\
from hindsight import Strategy


class Crossover(Strategy):
    warmup_bars = 20

    def initialize(self):
        pass

    def on_data(self, bar):
        closes = list(self.history(20)["close"])
        is_up = sum(closes[-5:]) / 5 > sum(closes) / len(closes)
        if is_up and self.get_position_size() == 0:
            self.buy(notional=1000)
        elif not is_up and self.get_position_size() > 0:
            self.close_position()
"""
SLOW = """\
import time

from hindsight import Strategy


class Slow(Strategy):
    def initialize(self):
        pass

    def on_data(self, bar):
        time.sleep(0.005)
        if self.get_position_size() == 0:
            self.buy(notional=100)
"""
SOURCES = {"Quick": BUY_ONCE, "Crossover": CROSSOVER, "Slow": SLOW}
SPANS = (("2025-01-03", "2025-01-12"), ("2025-01-05", "2025-01-25"))
PER_USER = 4  # runs that a user has waiting or running at the same time


@dataclass
class Load:
    """`expected`: strategy and first day -> the hash of an undisturbed run."""

    seed: int
    n_users: int = 4
    requested: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    expected: dict[tuple[str, str], str] = field(default_factory=dict)
    n_refused: int = 0
    cancels_any: bool = False  # a drill cancels whatever it likes
    expects_failures: bool = False  # and looks at the reasons itself

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        build_candles()
        self.users = [User.objects.create_user(f"user{i}@example.org", "correct horse") for i in range(self.n_users)]
        for user in self.users:
            for name, source in SOURCES.items():
                build_version(user, source, name)

    def run_undisturbed(self) -> None:
        """Every distinct request once, while nothing is killed."""
        runs = {
            (name, span[0]): self.request(self.users[i % self.n_users], name, span)
            for i, (name, span) in enumerate((name, span) for name in SOURCES for span in SPANS)
        }
        wait_until(
            lambda: not BacktestRun.objects.active().exists(), 600, "undisturbed runs"
        )  # kernels may have to be compiled
        for key, run_id in runs.items():
            run = BacktestRun.objects.get(pk=run_id)
            assert run.status == "succeeded", run.failure
            self.expected[key] = run.result_hash

    def go_on(self) -> None:
        """What the users do in one moment. A database that is away refuses them, and may or may not have taken it."""
        try:
            for user in self.users:
                if BacktestRun.objects.visible_to(user).active().count() < PER_USER:
                    name, span = self._random.choice(list(SOURCES)), self._random.choice(SPANS)
                    self.requested.add(str(self.request(user, name, span)))
            if self._random.random() < 0.004:
                active = list(BacktestRun.objects.active().order_by("id"))
                if active:
                    run = self._random.choice(active)
                    self.cancelled.add(str(run.pk))
                    services.cancel_run(run)
        except (OperationalError, InterfaceError):
            self.n_refused += 1
            connection.close()

    def request(self, user: User, name: str, span: tuple[str, str]) -> Any:
        version = StrategyVersion.objects.get(strategy__owner=user, strategy__name=name)
        raw = {"market": "usdm", "symbol": "BTCUSDT", "timeframe": "1h", "from": span[0], "to": span[1]}
        return services.request_run(user, raw, strategy_version=version).pk


def wait_until(is_so: Callable[[], Any], seconds: float, what: str) -> Any:
    """Raises TimeoutError. A database that is away is not an answer."""
    give_up_at = time.monotonic() + seconds
    while True:
        try:
            if found := is_so():
                return found
        except (OperationalError, InterfaceError):
            connection.close()
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.05)
