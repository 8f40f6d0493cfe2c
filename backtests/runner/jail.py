"""How the child is started, and with what: a clean environment, no file of ours but two, a session of its own.

The limits on memory, processor time and files the child sets on itself before it compiles the strategy
(engine.confinement); what is here holds whatever the child does.
"""

import fcntl
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numba

from backtests.engine.frames import ChildJob, job_chunks
from backtests.engine.kernels.compiler import sources_digest

logger = logging.getLogger(__name__)

PROJECT = Path(__file__).resolve().parents[2]
LEVEL = "none"  # shown with each run: nothing but a process of its own is around it


@dataclass(frozen=True, slots=True)
class Child:
    """A running child: its frames and what it prints as open pipes, both non-blocking."""

    process: subprocess.Popen[bytes]
    frames: IO[bytes]
    output: IO[bytes]

    def kill_group(self) -> None:
        """End it and everything it has started. Safe until it is reaped: a zombie keeps its number."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        self.frames.close()
        self.output.close()


def start_child(job: ChildJob, cache_dir: Path) -> Child:
    """Start the child on this job. Raises OSError when the machine cannot."""
    job_fd = _seal(job_chunks(job))
    frames_read, frames_write = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603
            child_command(job_fd, frames_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=child_environment(cache_dir),
            pass_fds=(job_fd, frames_write),
            start_new_session=True,
        )
    except BaseException:
        os.close(frames_read)
        raise
    finally:
        os.close(job_fd)
        os.close(frames_write)
    assert process.stdout is not None
    os.set_blocking(frames_read, False)
    os.set_blocking(process.stdout.fileno(), False)
    return Child(process, os.fdopen(frames_read, "rb", buffering=0), process.stdout)


def child_command(job_fd: int, frames_fd: int) -> list[str]:
    """The one place where the child's command line is made."""
    return [*_PYTHON, "--job-fd", str(job_fd), "--frames-fd", str(frames_fd), "--parent-pid", str(os.getpid())]


def child_environment(cache_dir: Path) -> dict[str, str]:
    """All that the child knows of its surroundings. A fixed hash seed: sets must have the same order in every run."""
    return {
        "PYTHONPATH": str(PROJECT),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "NUMBA_CACHE_DIR": str(cache_dir),
        # One run, one processor; every thread of a pool would also count against its memory.
        "NUMBA_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
    }


def warm_up(cache_dir: Path) -> None:
    """Compile the kernels into `cache_dir` unless they are there. Raises RuntimeError with the cause.

    The child cannot: it may not write, and would compile them at every run.
    """
    mark = cache_dir / f"warm-{sys.implementation.cache_tag}-{numba.__version__}-{sources_digest()}"
    if mark.exists():
        return
    cache_dir.mkdir(parents=True, exist_ok=True)
    with open(cache_dir / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if mark.exists():
            return
        done = subprocess.run(  # noqa: S603
            [*_PYTHON, "--warm"],
            cwd="/",
            env=child_environment(cache_dir),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            logger.error("The engine could not be compiled: %s", said[-4_000:])
            raise RuntimeError(f"The engine could not be compiled. {said.splitlines()[-1] if said else ''}")
        mark.touch()


_PYTHON = [sys.executable, "-m", "backtests.engine"]


def _seal(chunks: Iterable[bytes | memoryview]) -> int:
    """A file descriptor with this content that nobody can change any more."""
    if not hasattr(os, "memfd_create"):
        return _write_temporary(chunks)
    fd = os.memfd_create("hindsight-job", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        _write_all(fd, chunks)
        seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _write_temporary(chunks: Iterable[bytes | memoryview]) -> int:
    """Where there is no memfd: a nameless file, open for reading only."""
    fd, name = tempfile.mkstemp(prefix="hindsight-job-")
    try:
        _write_all(fd, chunks)
        return os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(fd)
        os.unlink(name)


def _write_all(fd: int, chunks: Iterable[bytes | memoryview]) -> None:
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            view = view[os.write(fd, view) :]
