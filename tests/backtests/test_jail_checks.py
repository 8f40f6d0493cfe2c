"""`manage.py check --deploy` says what of the jail a machine lacks, and which package brings it."""

import pytest

from backtests import checks
from backtests.runner.jail import layers


@pytest.fixture
def machine(monkeypatch):
    """What its levels lack, by level."""
    lacks = {"inner": "", "full": ""}
    monkeypatch.setattr(checks, "find_lack", lambda level: lacks[level])
    return lacks


def ids(messages):
    return [message.id for message in messages]


def test_a_machine_with_both_layers_passes(machine, settings):
    settings.JAIL = "auto"
    assert checks.check_jail() == []


def test_a_machine_without_landlock_is_an_error(machine, settings):
    settings.JAIL = "auto"
    machine["inner"] = machine["full"] = "The kernel has no Landlock."
    (message,) = checks.check_jail()
    assert message.id == "backtests.E001"
    assert "runs no strategies. The kernel has no Landlock." in message.msg


def test_a_machine_without_bubblewrap_is_told_the_package(machine, settings, monkeypatch):
    settings.JAIL = "auto"
    monkeypatch.setattr(layers.shutil, "which", lambda name: None)
    machine["full"] = layers._find_lack_of_bubblewrap()
    (message,) = checks.check_jail()
    assert message.id == "backtests.I001"
    assert "apt-get install bubblewrap" in message.msg
    assert "container" in message.hint


def test_no_jail_at_all_is_an_error(machine, settings):
    settings.JAIL = "none"
    assert ids(checks.check_jail()) == ["backtests.E002"]
