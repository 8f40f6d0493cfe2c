"""Landlock: files that may be read, and nothing else of the file system; no TCP, no signals, no abstract sockets.

It cannot be taken off again. It knows paths, not numbers of calls: what it misses (UDP, stat, chmod, sockets in the
file system) the seccomp filter refuses.
"""

import ctypes
import os
import stat
from collections.abc import Iterable

from backtests.engine.confinement import kernel

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_VERSION_FLAG = 1
_PATH_BENEATH = 1
# All rights over files that each version of the kernel's interface knows; from the fourth on TCP, from the sixth on
# signals and abstract sockets to processes outside.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP_BIND_AND_CONNECT = 0b11
_SOCKETS_AND_SIGNALS = 0b11


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("rights", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def find_landlock_version() -> int:
    """0 where the kernel has none."""
    try:
        return kernel.call(kernel.LANDLOCK_CREATE_RULESET, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def restrict_files(readable: Iterable[str], writable: Iterable[str] = ()) -> None:
    """From now on this process reads only what lies under these paths; those that do not exist are passed over.

    Needs no_new_privs. Raises OSError where the kernel has no Landlock.
    """
    version = find_landlock_version()
    if not version:
        raise OSError("This kernel has no Landlock.")
    ruleset = _Ruleset(
        files=max(rights for since, rights in _FILE_RIGHTS.items() if since <= version),
        tcp=_TCP_BIND_AND_CONNECT,
        scoped=_SOCKETS_AND_SIGNALS,
    )
    size = 8 if version < 4 else 16 if version < 6 else 24
    fd = kernel.call(kernel.LANDLOCK_CREATE_RULESET, ctypes.byref(ruleset), size, 0)
    try:
        for path in readable:
            _allow(fd, path, _READ_FILE | _READ_DIR)
        for path in writable:
            _allow(fd, path, _READ_FILE | _WRITE_FILE)
        kernel.call(kernel.LANDLOCK_RESTRICT_SELF, fd, 0)
    finally:
        os.close(fd)


def _allow(ruleset_fd: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= ~_READ_DIR
        kernel.call(kernel.LANDLOCK_ADD_RULE, ruleset_fd, _PATH_BENEATH, ctypes.byref(_PathRule(rights, fd)), 0)
    finally:
        os.close(fd)
