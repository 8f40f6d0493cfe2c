"""What a process loads when it starts: the child no Django, a web process no compiler."""

import json
import os
import subprocess
import sys

from tests.architecture.source_files import ROOT


def modules_after(*arguments: str) -> set[str]:
    """The modules that a fresh interpreter has loaded when it exits."""
    program = f"""
import atexit, json, runpy, sys
sys.argv = {list(arguments)!r}
atexit.register(lambda: print("LOADED", json.dumps(sorted(sys.modules))))
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=os.environ, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("LOADED")]
    assert lines, done.stderr
    return set(json.loads(lines[-1].removeprefix("LOADED ")))


def roots_of(modules: set[str]) -> set[str]:
    return {name.split(".")[0] for name in modules}


def test_the_child_loads_nothing_of_django():
    loaded = modules_after("backtests.engine", "--help")
    assert "backtests.engine" in loaded
    assert not roots_of(loaded) & {"django", "rest_framework", "django_q", "config", "accounts", "strategies"}


def test_a_web_process_loads_no_compiler():
    program = "import django, sys; django.setup(); import config.urls, config.wsgi; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
