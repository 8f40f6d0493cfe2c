"""The child's end of the turns: it asks for the next bar, and waits until the parent has revealed it.

Asking is an empty frame with the four random bytes that came with the last bar (docs/reference/frames.md), so a
child cannot ask for a bar ahead without being found out.
"""

import os

from backtests.engine.frames import FrameReporter
from backtests.engine.frames.wire import TOKEN_BYTES, encode_turn
from backtests.engine.result import CommandLog


class PipeTurns:
    """Bars from `bells_fd`, one token each; orders and questions to the reporter's pipe."""

    def __init__(self, bells_fd: int, frames_fd: int, reporter: FrameReporter) -> None:
        self._bells_fd = bells_fd
        self._frames_fd = frames_fd
        self._reporter = reporter
        self._question = encode_turn(bytes(TOKEN_BYTES))

    def take(self) -> None:
        """Ask for the next bar, and return when it lies in the table. Raises EOFError when the parent is gone."""
        os.write(self._frames_fd, self._question)
        token = os.read(self._bells_fd, TOKEN_BYTES)
        if len(token) != TOKEN_BYTES:
            raise EOFError("The run's parent is gone.")
        self._question = encode_turn(token)

    def order(self, made: CommandLog) -> None:
        """Send the commands of this bar, with the tags that are new, before the next bar is asked for."""
        self._reporter.commands(made)
