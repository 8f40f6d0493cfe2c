"""Importers that are killed at any moment leave nothing that a reader could see. `make chaos-ingest` kills more."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
N_KILLS = 50


@pytest.mark.slow
def test_killed_importers_leave_no_bad_read_no_gap_and_no_changed_snapshot():
    seed = str(random.randrange(1_000_000))
    done = subprocess.run(
        [sys.executable, "-m", "tests.marketdata.kill_drill", "--kills", str(N_KILLS), "--seed", seed],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    print(done.stdout)  # with the seed
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{N_KILLS} kills in" in done.stdout
    assert "0 faults" in done.stdout
