"""What the end of a child before its strategy began is called."""

import signal

import pytest

from backtests.runner.deaths import Death, explain_early_death
from backtests.runner.jail.usage import Usage


@pytest.mark.parametrize(
    ("code", "kind"), [(-signal.SIGKILL, "killed"), (-signal.SIGSEGV, "internal"), (1, "internal")]
)
def test_a_child_that_was_killed_before_its_strategy_began_is_killed_and_not_our_mistake(code, kind):
    failure = explain_early_death(Death(code, Usage(), "loading\nno such file", ("a line",)))
    assert (failure.code, failure.log_tail) == (kind, ("a line",))
    assert "before the strategy began" in failure.message
    assert "no such file" in failure.message
