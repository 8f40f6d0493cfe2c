"""The browser is installed only where that was asked for."""

import subprocess

import pytest

import chromium
from chromium import ensure_chromium
from suite import browser_pass


@pytest.fixture
def commands(monkeypatch):
    """A machine without Chromium, on which the commands that would install it are only noted."""
    noted = []

    def note(command, **_):
        noted.append(command)
        return subprocess.CompletedProcess(command, 0, stdout=b"")

    monkeypatch.setattr(chromium, "find_chromium", lambda: "/usr/bin/chromium" if noted else None)
    monkeypatch.setattr(chromium.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(chromium.subprocess, "run", note)
    return noted


def test_nothing_is_installed_unasked(commands):
    assert ensure_chromium(may_install=False) is None
    assert commands == []


def test_the_package_lists_are_renewed_before_installing(commands):
    assert ensure_chromium(may_install=True) == "/usr/bin/chromium"
    (command,) = commands
    assert command[-1].startswith("apt-get update && apt-get install")


def test_without_chromium_the_browser_tests_are_left_out_with_the_command(commands, tmp_path):
    outcome = browser_pass(tmp_path, may_install=False)
    assert not outcome.has_failed
    assert "make test INSTALL=1" in outcome.left_out
    assert "apt-get install" in outcome.left_out


def test_an_install_that_fails_fails_the_pass(commands, tmp_path, monkeypatch):
    monkeypatch.setattr(chromium, "find_chromium", lambda: None)
    outcome = browser_pass(tmp_path, may_install=True)
    assert outcome.has_failed
    assert "could not be installed" in outcome.left_out
