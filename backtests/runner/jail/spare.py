"""One warm child per worker: it has imported everything and waits. Used once, then there is another."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from backtests.runner.jail.child import Child, start_child
from backtests.runner.jail.layers import Layers

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Spare:
    """What this process keeps. Everything is off until keep_spare is called; a forked process starts anew."""

    owner_pid: int = 0
    child: Child | None = None


_spare = _Spare()


def keep_spare(layers: Layers, cache_dir: Path) -> None:
    """From now on this process keeps a child ready: call it once, in the thread that runs will be started from."""
    _spare.owner_pid, _spare.child = os.getpid(), None
    _start(layers, cache_dir)


def take_child(layers: Layers, cache_dir: Path) -> tuple[Child, bool]:
    """A child for one run, and whether it was warm. Raises OSError when none can be started."""
    child = waiting_child()
    if child is not None and (child.layers, child.cache_dir) == (layers, cache_dir):
        _spare.child = None
        if child.is_alive():
            return child, True
        child.close()
    return start_child(layers, cache_dir), False


def replace_spare(layers: Layers, cache_dir: Path) -> None:
    """After a run has taken it: the next one imports while the worker counts the result."""
    if _spare.owner_pid == os.getpid() and _spare.child is None:
        _start(layers, cache_dir)


def waiting_child() -> Child | None:
    """The one that is kept now."""
    return _spare.child if _spare.owner_pid == os.getpid() else None


def drop_spare() -> None:
    """Keep none any more."""
    if _spare.owner_pid == os.getpid() and _spare.child is not None:
        _spare.child.close()
    _spare.owner_pid, _spare.child = 0, None


def _start(layers: Layers, cache_dir: Path) -> None:
    try:
        _spare.child = start_child(layers, cache_dir)
    except OSError:
        logger.exception("No child could be started ahead; the next run starts its own.")
