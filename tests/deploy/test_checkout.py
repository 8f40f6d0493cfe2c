"""Commands that are asked to end: what they started cleans up first."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
BELOW = """
import pathlib, signal, sys, time
mark = pathlib.Path(sys.argv[1])
def end(*_):
    time.sleep(0.5)
    mark.write_text("cleaned up")
    sys.exit(3)
signal.signal(signal.SIGTERM, end)
mark.write_text("at work")
time.sleep(60)
"""
ABOVE = """
import os, pathlib, signal, sys
import bootstrap, checkout
checkout.VENV_PYTHON = pathlib.Path(sys.executable)
signal.signal(signal.SIGTERM, bootstrap.end_once)
checkout.run_python(["-c", sys.argv[1], sys.argv[2]], os.environ)
"""


def test_what_was_started_cleans_up_before_the_command_ends(tmp_path):
    mark = tmp_path / "mark"
    env = {**os.environ, "PYTHONPATH": str(DEPLOY)}
    process = subprocess.Popen([sys.executable, "-c", ABOVE, BELOW, str(mark)], env=env)
    give_up_at = time.monotonic() + 20
    while not (mark.exists() and mark.read_text()) and time.monotonic() < give_up_at:
        time.sleep(0.02)
    process.terminate()
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)  # `timeout` and `make` may both tell it
    assert process.wait(20) == 143
    assert mark.read_text() == "cleaned up"
