"""System calls that Python has no function for, through the C library. Linux only."""

import ctypes
import functools
import os
import platform

# The same number on every architecture: they are newer than the common table.
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_CAPSET = {"x86_64": 126, "aarch64": 91}

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS = 1, 4, 8, 38


@functools.cache
def libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: object) -> int:
    """One system call. Raises OSError."""
    libc().syscall.restype = ctypes.c_long
    words = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(libc().syscall(ctypes.c_long(number), *words))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def set_process_option(option: int, value: int) -> None:
    """prctl(option, value, 0, 0, 0). Raises OSError."""
    words = [ctypes.c_ulong(word) for word in (value, 0, 0, 0)]
    if libc().prctl(ctypes.c_int(option), *words) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def seccomp_number() -> int:
    return _SECCOMP[platform.machine()]


def capset_number() -> int:
    return _CAPSET[platform.machine()]
