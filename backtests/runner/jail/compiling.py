"""Compiled kernels in the cache before any child needs them."""

import fcntl
import logging
import subprocess
import sys
from pathlib import Path

import numba

from backtests.engine.kernels.compiler import sources_digest
from backtests.runner.jail.command import child_environment, engine_command
from backtests.runner.jail.trees import trees_in_place

logger = logging.getLogger(__name__)


def warm_up(cache_dir: Path) -> None:
    """Compile the kernels into `cache_dir` unless they are there. Raises RuntimeError with the cause.

    The child cannot: it may not write, and would compile them at every run.
    """
    mark = cache_dir / f"warm-{sys.implementation.cache_tag}-{numba.__version__}-{sources_digest()}"
    if mark.exists():
        return
    cache_dir.mkdir(parents=True, exist_ok=True)
    environment = child_environment(trees_in_place(cache_dir))
    del environment["PYTHONDONTWRITEBYTECODE"]  # the one chance: a child reads compiled modules, and writes none
    with open(cache_dir / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if mark.exists():
            return
        done = subprocess.run(  # noqa: S603
            engine_command("--warm"),
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            logger.error("The engine could not be compiled: %s", said[-4_000:])
            raise RuntimeError(f"The engine could not be compiled. {said.splitlines()[-1] if said else ''}")
        mark.touch()
