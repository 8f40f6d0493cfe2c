"""Set-up starts every candidate: a name on the path proves nothing."""

import stat
import sys

import pytest

from checkout import Refusal
from interpreters import Interpreter, _what_to_install, find_interpreter, probe


@pytest.fixture
def shim(tmp_path):
    def make(text: str) -> str:
        path = tmp_path / "python3"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return make


def test_a_shim_that_fails_is_passed_over(shim):
    broken = shim("echo 'pyenv: python3: command not found' >&2; exit 127")
    assert probe(broken) is None
    assert find_interpreter([broken, sys.executable]).version == sys.version_info[:3]


def test_a_shim_that_prints_something_else_is_passed_over(shim):
    assert probe(shim("echo hello")) is None


def test_a_name_that_does_not_exist_is_passed_over():
    assert probe("no-such-python") is None


def test_an_old_python_is_named_in_the_sentence_that_says_what_to_install(shim):
    old = shim("""echo '{"executable": "/opt/python3.9", "version": [3, 9, 2], "missing": []}'""")
    with pytest.raises(Refusal, match=r"needs Python 3.12, 3.13 or 3.14, and here is Python 3.9.2 \(/opt/python3.9\)"):
        find_interpreter([old])


def test_a_python_without_venv_is_told_which_package_brings_it(shim):
    bare = shim("""echo '{"executable": "/opt/python3.13", "version": [3, 13, 1], "missing": ["ensurepip"]}'""")
    with pytest.raises(Refusal, match=r"apt-get install python3.13-venv"):
        find_interpreter([bare])


def test_without_any_python_the_sentence_says_so():
    assert "here is no Python that runs" in _what_to_install([])


@pytest.mark.parametrize(
    ("version", "is_fitting"), [((3, 11, 9), False), ((3, 12, 0), True), ((3, 14, 2), True), ((3, 15, 0), False)]
)
def test_versions_from_3_12_to_3_14_fit(version, is_fitting):
    assert Interpreter("python", version, ()).is_fitting is is_fitting
