"""A worker that is told to end lets the work it holds end first."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol


class Stoppable(Protocol):
    """Work that can be asked to stop."""

    def ask_to_stop(self) -> None: ...


@contextmanager
def stop_on_sigterm(work: Stoppable) -> Iterator[None]:
    """While inside, SIGTERM asks the work to stop instead of killing the process; it is raised again afterwards.

    Only the main thread may set signal handlers; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    is_asked = False

    def ask(_signal: int, _frame: FrameType | None) -> None:
        nonlocal is_asked
        is_asked = True
        work.ask_to_stop()

    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if is_asked:
            signal.raise_signal(signal.SIGTERM)
