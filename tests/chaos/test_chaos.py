"""A few kills of everything, for every run of the suite; `make chaos KILLS=50` does more."""

import os
import subprocess
import sys

import pytest

from tests.chaos.throwaway_site import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("DATABASE_URL" in os.environ, reason="makes a database of its own"),
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="watches processes through /proc"),
]


def test_a_few_kills_lose_no_run():
    command = [sys.executable, "-m", "tests.chaos", "--kills", "5", "--every", "1.5", "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    for name in ("lost", "doubled", "wrong", "orphans"):
        assert f"\n{name:<9} 0" in done.stdout
