"""The turns of a sealed run: the child asks, the parent shows one bar. Between the two nothing else of a run is done.

What the child says is held against the bar that it was shown: orders of another bar, a question with another token
than that bar's (it was asked too early, or twice), or one behind the last bar end the run as `integrity`. Asking early
would gain nothing anyway: an order counts at the close of the bar that was shown last.
"""

import os
import secrets
import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from backtests.engine.frames import FrameError
from backtests.engine.frames.wire import TOKEN_BYTES, encode_turn
from backtests.engine.result import Rows
from backtests.runner.dealer import Dealer

if TYPE_CHECKING:
    from backtests.runner.intake import Intake
    from backtests.runner.jail.child import Child

READ_BYTES = 64 * 1024
LONGEST_WAIT_MS = 100
_TOKENS_AT_ONCE = 1_024


class Turns:
    """Of one child."""

    def __init__(self, dealer: Dealer) -> None:
        self._dealer = dealer
        self._token = bytes(TOKEN_BYTES)  # of the bar that was shown last; the first question names none
        self._question = encode_turn(self._token)
        self._is_asked = False
        self._tokens, self._i_token = b"", -TOKEN_BYTES
        self._poller: select.poll | None = None

    # What the intake asks of it.
    def take_question(self, token: bytes) -> None:
        """Raises FrameError for one that nobody who has seen only the bars shown could ask."""
        if self._is_asked or token != self._token:
            raise FrameError("The next bar was asked for before the one before it was shown.")
        if self._dealer.is_over:
            raise FrameError("A bar was asked for behind the last one.")
        self._is_asked = True

    def check_orders(self, rows: Rows) -> None:
        """Raises FrameError unless they are of the bar on which the strategy stands."""
        i_bar = self._dealer.i_bar
        if self._is_asked or i_bar < self._dealer.shape.first_bar or bool((rows["i_bar"] != i_bar).any()):
            raise FrameError(f"An order says another bar than {i_bar}, which was the one shown.")

    # What the overseer asks of it.
    def play(self, child: "Child", intake: "Intake", longest_s: float) -> None:
        """Show bars for so long, or until there is something else to look after. Raises what `intake.feed` raises."""
        poller = self._poller or self._make_poller(child)
        frames_fd, output_fd = child.frames.fileno(), child.output.fileno()
        is_a_frame = [(frames_fd, select.POLLIN)]
        end_s = time.monotonic() + longest_s
        while True:
            if self._is_asked:
                self._show(child)
            ready = poller.poll(LONGEST_WAIT_MS)
            if ready != is_a_frame:
                if (output_fd, select.POLLHUP) in ready:
                    poller.unregister(output_fd)
                return
            data = os.read(frames_fd, READ_BYTES)
            if data == self._question and not intake.n_waiting and not self._dealer.is_over:
                self._is_asked = True
            else:
                intake.feed(data)
            if time.monotonic() > end_s:
                return

    def _show(self, child: "Child") -> None:
        self._dealer.show()
        i = self._i_token = (self._i_token + TOKEN_BYTES) % (_TOKENS_AT_ONCE * TOKEN_BYTES)
        if not i:
            self._tokens = secrets.token_bytes(_TOKENS_AT_ONCE * TOKEN_BYTES)
        self._token = self._tokens[i : i + TOKEN_BYTES]
        self._question = encode_turn(self._token)
        self._is_asked = False
        with suppress(OSError):  # it is gone, which the end of its frames will say
            child.ring(self._token)

    def _make_poller(self, child: "Child") -> select.poll:
        self._poller = select.poll()
        for pipe in (child.frames, child.output):
            self._poller.register(pipe.fileno(), select.POLLIN)
        return self._poller
