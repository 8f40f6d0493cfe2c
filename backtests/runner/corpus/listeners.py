"""Doors that nobody should knock at: sockets of every kind, which count."""

import os
import selectors
import socket
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

TCP_PORT, UDP_PORT, ABSTRACT_NAME = 45991, 45992, "jailcanary"


class Listeners:
    """TCP and UDP on the loopback, a socket in the file system, an abstract one."""

    def __init__(self, socket_path: Path) -> None:
        with ExitStack() as made:
            self.tcp = made.enter_context(_bind(socket.AF_INET, socket.SOCK_STREAM, TCP_PORT))
            self.udp = made.enter_context(_bind(socket.AF_INET, socket.SOCK_DGRAM, UDP_PORT))
            self.in_files = made.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            self.in_files.bind(str(socket_path))
            socket_path.chmod(0o777)
            self.abstract, self.abstract_name = _bind_abstract(made)
            self._stack = made.pop_all()
        self.n_knocks = 0
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._count, name="listeners", daemon=True)
        for listener in (self.tcp, self.in_files, self.abstract):
            listener.listen()
        self._thread.start()

    @property
    def tcp_port(self) -> int:
        return int(self.tcp.getsockname()[1])

    @property
    def udp_port(self) -> int:
        return int(self.udp.getsockname()[1])

    def close(self) -> None:
        self._is_closing.set()
        self._thread.join()
        self._stack.close()

    def _count(self) -> None:
        with selectors.DefaultSelector() as selector:
            for listener in (self.tcp, self.udp, self.in_files, self.abstract):
                listener.setblocking(False)
                selector.register(listener, selectors.EVENT_READ)
            while not self._is_closing.is_set():
                for key, _ in selector.select(0.05):
                    self.n_knocks += 1
                    with suppress(OSError):
                        self._answer(key.fileobj)

    def _answer(self, listener: object) -> None:
        assert isinstance(listener, socket.socket)
        if listener is self.udp:
            listener.recv(4096)
        else:
            listener.accept()[0].close()


def _bind(family: int, kind: int, port: int) -> socket.socket:
    """At this port, or at a free one where somebody else has it.

    Not with SO_REUSEADDR: two stages made at once would both get the port, and one of them could not listen.
    """
    made = socket.socket(family, kind)
    try:
        made.bind(("127.0.0.1", port))
    except OSError:
        made.bind(("127.0.0.1", 0))
    return made


def _bind_abstract(made: ExitStack) -> tuple[socket.socket, str]:
    listener = made.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    name = ABSTRACT_NAME
    try:
        listener.bind(f"\0{name}")
    except OSError:
        name = f"{ABSTRACT_NAME}-{os.getpid()}-{id(listener)}"  # forked workers have equal ids
        listener.bind(f"\0{name}")
    return listener, name
