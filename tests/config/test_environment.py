"""A variable that makes no sense stops the start with one sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import env

ROOT = Path(__file__).resolve().parents[2]


def test_a_yes_or_no_is_nothing_else(monkeypatch):
    monkeypatch.setenv("X", "perhaps")
    with pytest.raises(ImproperlyConfigured, match="not a yes or no"):
        env.read_bool("X", False)


@pytest.mark.parametrize(("word", "sentence"), [("many", "not a whole number"), ("0", "between 1 and 9")])
def test_a_number_is_whole_and_in_its_bounds(monkeypatch, word, sentence):
    monkeypatch.setenv("X", word)
    with pytest.raises(ImproperlyConfigured, match=sentence):
        env.read_int("X", 1, at_least=1, at_most=9)


def test_a_choice_names_the_choices(monkeypatch):
    monkeypatch.setenv("X", "xml")
    with pytest.raises(ImproperlyConfigured, match="console, json"):
        env.read_choice("X", "console", ("console", "json"))


def test_a_missing_folder_is_made(monkeypatch, tmp_path):
    monkeypatch.setenv("X", str(tmp_path / "deep" / "home"))
    assert env.open_folder("X", tmp_path).is_dir()


def test_a_file_is_no_folder(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("X", str(tmp_path / "file"))
    with pytest.raises(ImproperlyConfigured, match="is no folder"):
        env.open_folder("X", tmp_path)
    monkeypatch.setenv("X", str(tmp_path / "file" / "home"))
    with pytest.raises(ImproperlyConfigured, match="is no folder"):
        env.open_folder("X", tmp_path)


def start(home, **variables):
    command = [sys.executable, "manage.py", "check"]
    environment = {"PATH": os.environ["PATH"], "HINDSIGHT_HOME": str(home)} | variables
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_without_a_secret_key_the_start_ends_in_one_sentence(tmp_path):
    outcome = start(tmp_path)
    assert outcome.returncode == 1
    assert outcome.stderr.count("\n") == 1
    assert "make setup" in outcome.stderr


def test_deployment_check_is_clean_behind_https(tmp_path):
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    environment = {
        "PATH": os.environ["PATH"],
        "HINDSIGHT_HOME": str(tmp_path),
        "HINDSIGHT_SECRET_KEY": "".join(map(chr, range(40, 100))),
        "HINDSIGHT_HTTPS": "1",
        "HINDSIGHT_ALLOWED_HOSTS": "hindsight.example.org",
        "HINDSIGHT_EMAIL_HOST": "mail.example.org",
    }
    outcome = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr
