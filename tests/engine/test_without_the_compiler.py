"""The kernels are plain Python, too: rules and published numbers hold with NUMBA_DISABLE_JIT=1."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RULES = ("published_numbers", "published_accounts", "fill_rules", "liquidation_and_funding")


def test_rules_and_published_numbers_hold_without_the_compiler():
    files = [f"tests/engine/test_{name}.py" for name in RULES]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider", *files],
        cwd=ROOT,
        env={**environment, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
