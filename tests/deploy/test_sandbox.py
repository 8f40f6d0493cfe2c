"""`make setup` installs what holds strategies where that is one command, and says the command where it is not."""

import subprocess

import pytest

import sandbox
from sandbox import ensure_sandbox


@pytest.fixture
def machine(monkeypatch, capsys):
    """A Linux without bubblewrap: `lacks` is what its two levels lack, `commands` what was run on it."""

    class Machine:
        lacks = ("", "")
        is_debian, uid, code, error = True, 0, 0, ""
        platform, has_bubblewrap = "linux", False

        def __init__(self):
            self.commands = []

        def run(self, command, **_):
            self.commands.append(command)
            return subprocess.CompletedProcess(command, self.code, stdout="", stderr=self.error)

        def ask(self, arguments, environment, **_):
            if self.lacks is None:
                return subprocess.CompletedProcess(arguments, 1, stdout="Traceback")
            return subprocess.CompletedProcess(arguments, 0, stdout="{}\n{}\n".format(*self.lacks))

        def set_up(self):
            ensure_sandbox()
            return capsys.readouterr().out

    made = Machine()
    has_apt = {"apt-get": "/usr/bin/apt-get"}
    monkeypatch.setattr(sandbox.sys, "platform", "linux")
    monkeypatch.setattr(
        sandbox.shutil,
        "which",
        lambda name: "/usr/bin/bwrap" if name == "bwrap" and made.has_bubblewrap else has_apt.get(name),
    )
    monkeypatch.setattr(sandbox.Path, "is_file", lambda path: made.is_debian and str(path) == "/etc/debian_version")
    monkeypatch.setattr(sandbox.os, "geteuid", lambda: made.uid)
    monkeypatch.setattr(sandbox.subprocess, "run", made.run)
    monkeypatch.setattr(sandbox, "run_python", made.ask)
    return made


def test_root_on_debian_gets_both_packages(machine):
    said = machine.set_up()
    ((shell, _, script),) = machine.commands
    assert (shell, script) == ("sh", "apt-get update && apt-get install -y bubblewrap libseccomp2")
    assert "Installing bubblewrap" in said
    assert "both layers" in said


def test_an_ordinary_user_on_debian_is_told_the_command(machine):
    machine.uid, machine.lacks = 1000, ("", "bubblewrap is not installed.")
    said = machine.set_up()
    assert machine.commands == []
    assert "sudo sh -c 'apt-get update && apt-get install -y bubblewrap libseccomp2'" in said
    assert "held by the inner layer alone. bubblewrap is not installed." in said


def test_another_linux_is_told_the_package(machine):
    machine.is_debian = False
    assert "package manager (its package is `bubblewrap`)" in machine.set_up()
    assert machine.commands == []


def test_an_installation_that_fails_says_why_and_does_not_stop_the_set_up(machine):
    machine.code, machine.error = 100, "W: one\nE: Unable to locate package bubblewrap\n"
    machine.lacks = ("", "bubblewrap is not installed.")
    said = machine.set_up()
    assert "could not be installed (E: Unable to locate package bubblewrap)" in said
    assert "inner layer alone" in said


def test_nothing_is_installed_where_bubblewrap_is(machine):
    machine.has_bubblewrap = True
    assert machine.set_up() == "Strategies are held by both layers of the jail.\n"
    assert machine.commands == []


def test_a_machine_that_cannot_hold_strategies_is_told_what_it_lacks(machine):
    machine.has_bubblewrap, machine.lacks = True, ("The kernel has no Landlock.", "The kernel has no Landlock.")
    assert "This machine runs no strategies. The kernel has no Landlock." in machine.set_up()


def test_what_cannot_be_found_out_is_said_so(machine):
    machine.has_bubblewrap, machine.lacks = True, None
    assert "could not be found out" in machine.set_up()


def test_another_system_is_not_asked_to_install_anything(machine, monkeypatch):
    monkeypatch.setattr(sandbox.sys, "platform", "darwin")
    machine.lacks = ("This is another system.", "This is another system.")
    assert machine.set_up() == "This machine runs no strategies. This is another system.\n"
