"""`make bench-peers`: other engines, each installed into an environment of its own, at the same work as ours."""

from __future__ import annotations

from collections.abc import Sequence

from checkout import ROOT, find_home, home_environment, make_folder, run_python
from environment import ensure_environment
from site_home import ensure_kernels

PEERS = ("backtesting", "vectorbt")


def bench_peers(arguments: Sequence[str]) -> int:
    """Install what is missing, then measure; the arguments go to benchmarks/compare.py. Returns its exit code."""
    home = find_home()
    folder = home / "bench"
    make_folder(folder, "The folder")
    ensure_environment()
    for name in PEERS:
        ensure_environment(folder / name, ROOT / "requirements" / (name + ".txt"))
    ensure_kernels(home)
    return run_python(["-m", "benchmarks.compare", *arguments], home_environment(home)).returncode
