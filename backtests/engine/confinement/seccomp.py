"""The filter of system calls: a small program of the kernel's packet filter, put together by hand.

What is not allowed answers EPERM, so that a library that asks for it goes on; another architecture's way into the
kernel (32-bit calls have other numbers) ends the process. The filter cannot be taken off again.
"""

import ctypes
import errno
import platform
import struct
from collections.abc import Iterator

from backtests.engine.confinement import calls, kernel

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000  # x86_64 has a second table of calls, with this bit in their numbers

# BPF: load a word, compare, and, return.
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16

_SET_MODE_FILTER, _TSYNC = 1, 1  # TSYNC: all threads, also those that libraries have started

# clone: threads of this process only, in no new namespace.
_CLONE_ASKED = 0x10000 | 0x100 | 0x800  # THREAD, VM, SIGHAND
_CLONE_DENIED = 0x2000 | 0x4000 | 0x20000 | 0x7E000000 | 0x80000000  # PTRACE, VFORK, every namespace, IO
_PRCTL_ALLOWED = (15, 16, 0x53564D41)  # names of threads and of memory
_IOCTL_ALLOWED = (0x5401, 0x5413, 0x541B, 0x5450, 0x5451)  # is it a terminal, how large, how much waits; close on exec
_FCNTL_ALLOWED = (0, 1, 2, 3, 4, 1030, 1034)  # copies and flags of descriptors, seals; no owners of signals, no leases

type Instruction = tuple[int, int, int, int]


def can_filter() -> bool:
    return platform.machine() in _ARCHITECTURES


def strategy_filter() -> bytes:
    """What holds while a strategy runs."""
    return _assemble(_by_arguments(), calls.ALLOWED)


def outer_filter() -> bytes:
    """What holds from bubblewrap's exec on: also what Python needs to start and to confine itself."""
    return _assemble([*_clone()], {**calls.ALLOWED, **calls.ALLOWED_AT_START})


def install_filter(program: bytes) -> None:
    """For every thread of this process. Needs no_new_privs. Raises OSError."""
    buffer = ctypes.create_string_buffer(program, len(program))
    header = _Program(len(program) // 8, ctypes.addressof(buffer))
    kernel.call(kernel.seccomp_number(), _SET_MODE_FILTER, _TSYNC, ctypes.byref(header))


class _Program(ctypes.Structure):
    _fields_ = (("n_instructions", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def _assemble(by_arguments: list[Instruction], allowed: dict[str, tuple[int | None, int | None]]) -> bytes:
    machine = platform.machine()
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_OFFSET),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_OFFSET),
    ]
    if machine == "x86_64":
        program += [(_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, _KILL)]
    for numbers in allowed.values():
        if (number := _own(numbers)) is not None:
            program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    program += by_arguments
    program.append((_RETURN, 0, 0, _REFUSE | errno.EPERM))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _by_arguments() -> list[Instruction]:
    return [
        *_clone(),
        *_first_of(calls.PRCTL, 0, _PRCTL_ALLOWED),
        *_first_of(calls.IOCTL, 1, _IOCTL_ALLOWED),
        *_first_of(calls.FCNTL, 1, _FCNTL_ALLOWED),
        *_first_of(calls.PRLIMIT64, 0, (0,)),  # of this process
    ]


def _clone() -> Iterator[Instruction]:
    """clone for threads; clone3 is unknown here (its flags lie in memory), and the C library falls back to clone."""
    yield (_EQUAL, 0, 1, _own(calls.CLONE3) or 0)
    yield (_RETURN, 0, 0, _REFUSE | errno.ENOSYS)
    yield (_EQUAL, 0, 5, _own(calls.CLONE) or 0)
    yield (_LOAD, 0, 0, _ARGUMENTS_OFFSET)
    yield (_AND, 0, 0, _CLONE_ASKED | _CLONE_DENIED)
    yield (_EQUAL, 0, 1, _CLONE_ASKED)
    yield (_RETURN, 0, 0, _ALLOW)
    yield (_RETURN, 0, 0, _REFUSE | errno.EPERM)


def _first_of(numbers: tuple[int, int], i_argument: int, values: tuple[int, ...]) -> Iterator[Instruction]:
    """Allowed where this argument, of which the kernel reads 32 bits, is one of the values."""
    yield (_EQUAL, 0, 2 + 2 * len(values), _own(numbers) or 0)
    yield (_LOAD, 0, 0, _ARGUMENTS_OFFSET + 8 * i_argument)
    for value in values:
        yield (_EQUAL, 0, 1, value)
        yield (_RETURN, 0, 0, _ALLOW)
    yield (_RETURN, 0, 0, _REFUSE | errno.EPERM)


def _own[Number: (int, int | None)](numbers: tuple[Number, Number]) -> Number:
    return numbers[calls.MACHINES.index(platform.machine())]
