"""What a service manager with systemd's protocol hands us and wants to hear: the socket, readiness, signs of life.

See sd_listen_fds(3) and sd_notify(3). Without such a manager every function here does nothing.
"""

import os
import socket
import time
from contextlib import suppress

_FIRST_FD = 3
_PERIOD_S = 1.0

_told_at = 0.0


def take_socket() -> socket.socket | None:
    """The listening socket that was handed over; it waits, with everybody who knocks, while we are started anew."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    return socket.socket(fileno=_FIRST_FD)


def tell(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)


def tell_alive() -> None:
    """At most once a second."""
    global _told_at
    if time.monotonic() - _told_at >= _PERIOD_S:
        _told_at = time.monotonic()
        tell("WATCHDOG=1")
