"""What the child gives up before it imports anything: the worker's user, and life beyond the worker."""

import ctypes
import os
import signal
import sys

from backtests.engine.confinement import kernel

_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def become(uid: int, *, may_read_all: bool) -> None:
    """Leave root for this user, for good. Raises OSError.

    With `may_read_all` the right to pass by the modes of files stays, for a Python below a private folder: Landlock
    then decides alone what is read.
    """
    if may_read_all:
        kernel.set_process_option(kernel.PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if may_read_all:
        # The smaller right where we have it; many containers only have the larger.
        try:
            _keep_capability(_CAP_DAC_READ_SEARCH)
        except OSError:
            _keep_capability(_CAP_DAC_OVERRIDE)


def _keep_capability(number: int) -> None:
    header = _Header(_CAPABILITY_VERSION_3, 0)
    sets = (_Sets * 2)()
    sets[0] = _Sets(1 << number, 1 << number, 0)
    kernel.call(kernel.capset_number(), ctypes.byref(header), ctypes.byref(sets))


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel end this process when its parent ends: a killed worker leaves no strategy running. Linux only.

    After `become`: a change of the user takes the wish back.
    """
    if sys.platform != "linux":
        return
    kernel.set_process_option(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it ended before we asked
        os.kill(os.getpid(), signal.SIGKILL)
