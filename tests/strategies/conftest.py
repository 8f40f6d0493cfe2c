"""A strategy of the owner, with two versions."""

import pytest

from strategies import services

FIRST = "class S(Strategy):\n    def initialize(self): ...\n    def on_data(self, data): ...\n"
SECOND = FIRST + "# second\n"


@pytest.fixture
def strategy(owner):
    version = services.create_strategy(owner, "Mine", FIRST, "What it does")
    services.save_version(version.strategy, SECOND, based_on=1)
    version.strategy.refresh_from_db()
    return version.strategy
