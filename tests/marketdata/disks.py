"""Disks that run full, for tests: a real small one, a limit on files, and faults at chosen calls."""

import contextlib
import errno
import os
import resource
import subprocess
from pathlib import Path

import pytest


@contextlib.contextmanager
def tiny_disk(folder: Path, n_bytes: int):
    """A file system of its own in `folder`; skips, saying so, where none can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={n_bytes},mode=0700", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here ({done.stderr.strip() or 'no reason given'})")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all the space that is left."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        for n_bytes in (4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * n_bytes):
                    pass
    return filler


@contextlib.contextmanager
def small_files_only(n_bytes: int):
    """No file may grow beyond `n_bytes`: a disk that fills up in the middle of a write (EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def no_space(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_only(*args, **kwargs):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
