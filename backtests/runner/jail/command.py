"""The child's command line and surroundings, with and without bubblewrap around it."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from backtests.engine.other_clock import CLOCK_SHIFT
from backtests.runner.jail.layers import Layers
from backtests.runner.jail.trees import PYTHON, Trees, find_closed, trees_in_jail, trees_in_place

# -P -S: nothing is imported from the current folder or from folders that Python would add by itself.
_ENGINE = ("-P", "-S", "-m", "backtests.engine")
_NAMESPACES = ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
_NOBODY = "65534"
# Another month, day of the week, hour, and other odd and even minutes and seconds.
ELSEWHERE_S = 200 * 86_400 + 7 * 3_600 + 13 * 60 + 11


def find_trees(layers: Layers, cache_dir: Path) -> Trees:
    return trees_in_jail(cache_dir) if layers.has_bubblewrap else trees_in_place(cache_dir)


def child_environment(trees: Trees, *, is_elsewhere: bool = False) -> dict[str, str]:
    """All that the child knows of its surroundings. A fixed hash seed: sets must have the same order in every run.

    `is_elsewhere`: another hash seed and clock, to find out whether a strategy depends on them.
    """
    return {
        "PYTHONPATH": trees.python_path,
        "PYTHONHASHSEED": "20250112" if is_elsewhere else "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "NUMBA_CACHE_DIR": trees.cache,
        # One run, one processor; every thread of a pool would also count against its memory.
        "NUMBA_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        **({CLOCK_SHIFT: str(ELSEWHERE_S)} if is_elsewhere else {}),
    }


def engine_command(*arguments: str) -> list[str]:
    return [PYTHON, *_ENGINE, *arguments]


def child_command(layers: Layers, trees: Trees, *, job_fd: int, frames_fd: int, uid: int | None) -> list[str]:
    """The child itself. Without bubblewrap it dies with us by its own wish; with it bubblewrap sees to that."""
    arguments = ["--job-fd", str(job_fd), "--frames-fd", str(frames_fd)]
    if not layers.has_bubblewrap:
        arguments += ["--parent-pid", str(os.getpid())]
    if uid is not None:
        arguments += ["--user", str(uid)]
        if find_closed(_sources(trees), with_parents=not layers.has_bubblewrap):
            arguments.append("--may-read-all")
    for layer in layers.inner:
        arguments += ["--layer", layer]
    for path in trees.readable:
        arguments += ["--readable", path]
    return engine_command(*arguments)


def bubblewrap_command(
    inside: Sequence[str],
    trees: Trees,
    environment: Mapping[str, str],
    *,
    info_fd: int,
    filter_fd: int,
    uid: int | None,
) -> list[str]:
    """bubblewrap around a command: namespaces of its own, a root that holds the trees read-only and nothing else.

    With `uid` we are root: bubblewrap makes the mounts with our rights, and the child leaves root as its first act.
    Otherwise a user namespace gives bubblewrap the right, and takes it from the child.
    """
    command = [shutil.which("bwrap") or "bwrap", *_NAMESPACES]
    if uid is None:
        command += ["--unshare-user", "--disable-userns", "--uid", _NOBODY, "--gid", _NOBODY, "--cap-drop", "ALL"]
    else:
        command += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        if "--may-read-all" in inside:
            command += ["--cap-add", "CAP_DAC_READ_SEARCH"]
    command += ["--die-with-parent", "--new-session", "--clearenv"]
    for name, value in environment.items():
        command += ["--setenv", name, value]
    # bubblewrap's own folders are open to its user alone, which the child leaves.
    for folder in _folders_above(trees):
        command += ["--perms", "0755", "--dir", folder]
    for tree in trees.trees:
        command += ["--ro-bind", tree.source, tree.seen_as]
    for device in ("/dev/null", "/dev/urandom"):
        command += ["--dev-bind", device, device]
    command += ["--remount-ro", "/", "--chdir", "/"]
    command += ["--info-fd", str(info_fd), "--seccomp", str(filter_fd)]
    return [*command, "--", *inside]


def _folders_above(trees: Trees) -> list[str]:
    """Every folder that leads to a tree, from the top down."""
    above = {parent for path in (*trees.readable, "/dev/null") for parent in PurePosixPath(path).parents}
    return sorted(str(folder) for folder in above if str(folder) != "/")


def _sources(trees: Trees) -> tuple[str, ...]:
    return tuple(tree.source for tree in trees.trees)
