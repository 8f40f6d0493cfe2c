"""Which layers are around a child, and what this machine can give."""

import functools
import itertools
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backtests.engine.confinement import can_filter, find_landlock_version

type Level = Literal["full", "inner", "none"]

FIRST_UID, N_UIDS = 64_000, 1_000
_condemned: list[str] = []
_n_given = itertools.count()
LEVELS: tuple[Level, ...] = ("full", "inner", "none")
_TRIAL = ("--ro-bind", "/", "/", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts")


class NoJail(Exception):
    """This machine cannot hold a strategy; the message says what it lacks."""


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers of one child. `level` is what a user is told; tests take single layers off."""

    level: Level
    has_bubblewrap: bool
    has_landlock: bool
    has_seccomp: bool
    uid: int | None = None  # the child's user, where root chooses it; None: one of its own each time
    is_elsewhere: bool = False  # another hash seed, another time of day: what no honest strategy depends on
    has_limits: bool = True  # of the kernel; at every level

    @property
    def inner(self) -> tuple[str, ...]:
        """What the child does to itself, in this order."""
        held = {"limits": self.has_limits, "landlock": self.has_landlock, "seccomp": self.has_seccomp}
        return tuple(name for name, is_on in held.items() if is_on)


def layers_of(level: Level) -> Layers:
    is_jailed = level != "none"
    return Layers(level, level == "full", is_jailed, is_jailed)


def choose_layers() -> Layers:
    """The best that this machine gives, or what HINDSIGHT_JAIL asks for. Raises NoJail.

    The settings refuse `none` unless the site is in debug mode.
    """
    if _condemned:
        raise NoJail(_condemned[-1])
    return _choose_layers()


def condemn(why: str) -> None:
    """This process has seen its jail fail: it runs no strategy any more."""
    _condemned.append(why)


@functools.cache
def _choose_layers() -> Layers:
    asked = os.environ.get("HINDSIGHT_JAIL", "").strip() or "auto"
    if asked == "none":
        return layers_of("none")
    if lack := find_lack("inner"):
        raise NoJail(lack)
    if asked == "inner":
        return layers_of("inner")
    if lack := find_lack("full"):
        if asked == "full":
            raise NoJail(lack)
        return layers_of("inner")
    return layers_of("full")


@functools.cache
def find_lack(level: Level) -> str:
    """What this machine lacks for the level, in words; empty when nothing."""
    if level == "none":
        return ""
    if sys.platform != "linux":
        return "Strategies are held by the Linux kernel; this is another system."
    if not can_filter():
        return f"There is no filter of system calls for {platform.machine()}."
    if not find_landlock_version():
        return "The kernel has no Landlock (Linux 5.13 or newer, with `landlock` in its list of security modules)."
    return _find_lack_of_bubblewrap() if level == "full" else ""


def _find_lack_of_bubblewrap() -> str:
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return "bubblewrap is not installed (Debian and Ubuntu: apt-get install bubblewrap)."
    own = () if can_give_users() else ("--unshare-user", "--uid", "65534", "--gid", "65534")
    try:
        done = subprocess.run(  # noqa: S603
            [bwrap, *own, *_TRIAL, "/bin/true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
            env={},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not start: {error}"
    if done.returncode:
        said = done.stderr.strip().splitlines()
        return (
            f"bubblewrap may not make namespaces here ({said[-1] if said else f'exit code {done.returncode}'}). "
            "Ubuntu 23.10 and newer need an AppArmor profile for bwrap; containers need to allow user namespaces."
        )
    return ""


@functools.cache
def can_give_users() -> bool:
    """Root, with users to give away: a child gets one of its own, and bubblewrap needs no user namespace."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    ranges = [[int(word) for word in line.split()] for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return any(first <= FIRST_UID and first + count >= FIRST_UID + N_UIDS for first, _, count in ranges)


def give_uid() -> int | None:
    """A user that nobody else has, for one child; None where a child must be what we are.

    One run cannot touch another's process then, and the kernel counts the tasks of each alone.
    """
    if not can_give_users():
        return None
    return FIRST_UID + (8 * os.getpid() + next(_n_given)) % N_UIDS
