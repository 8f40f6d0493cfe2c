import pytest
from django.core.exceptions import ValidationError

from accounts.models import User
from accounts.quotas import Limits, find_limit_problem, limits_of


def test_limits_are_the_sites_unless_overridden(monkeypatch):
    monkeypatch.delenv("HINDSIGHT_RUN_WALL_CLOCK_S", raising=False)
    assert limits_of(User()) == Limits()
    assert limits_of(User(limit_overrides={"max_strategies": 500})).max_strategies == 500


def test_the_wall_clock_follows_the_environment(monkeypatch):
    monkeypatch.setenv("HINDSIGHT_RUN_WALL_CLOCK_S", "30")
    assert limits_of(User()).run_wall_clock_s == 30


@pytest.mark.parametrize(
    "overrides", ["x", [1], {"max_fun": 1}, {"max_orders": 0}, {"max_orders": 1.5}, {"max_orders": True}]
)
def test_overrides_that_make_no_sense_are_refused(overrides):
    assert find_limit_problem(overrides)
    with pytest.raises(ValidationError):
        User(email="a@example.org", password="x", limit_overrides=overrides).clean_fields()
