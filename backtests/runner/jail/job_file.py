"""The file that carries a job: made empty before the child starts, filled once, then unchangeable for ever."""

import fcntl
import mmap
import os
import tempfile
from collections.abc import Iterable

# Of Linux 5.1; Python names it from 3.13 on. Who has the file writable in its memory already keeps it so; nobody else
# can write to it any more.
F_SEAL_FUTURE_WRITE = 0x10


class JobFile:
    """`child_fd` is what the child inherits, for reading only. A sealed memfd; where there is none, a nameless file."""

    def __init__(self) -> None:
        self._is_memory = hasattr(os, "memfd_create")
        if self._is_memory:
            self._fd = os.memfd_create("hindsight-job", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            self.child_fd = _open_again(self._fd)
            return
        self._fd, name = tempfile.mkstemp(prefix="hindsight-job-")
        try:
            self.child_fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.unlink(name)

    def fill(self, chunks: Iterable[bytes | memoryview]) -> None:
        """Write the job and shut the file. Nobody can change it any more, the child's own descriptor included."""
        self._write(chunks)
        self._seal(fcntl.F_SEAL_WRITE if self._is_memory else 0)

    def fill_and_share(self, chunks: Iterable[bytes | memoryview], n_shared: int) -> tuple[mmap.mmap, int]:
        """Write the job, and behind it leave so many bytes that only we can write, from now on and for ever.

        Returns the file as our memory, and where those bytes begin.
        """
        offset = self._write(chunks)
        os.ftruncate(self._fd, offset + n_shared)
        memory = mmap.mmap(self._fd, offset + n_shared)
        self._seal(F_SEAL_FUTURE_WRITE)
        return memory, offset

    def _write(self, chunks: Iterable[bytes | memoryview]) -> int:
        """Returns how much it was."""
        n_bytes = 0
        for chunk in chunks:
            view = memoryview(chunk)
            n_bytes += len(view)
            while view:
                view = view[os.write(self._fd, view) :]
        return n_bytes

    def _seal(self, against_writing: int) -> None:
        if self._is_memory:
            size = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
            fcntl.fcntl(self._fd, fcntl.F_ADD_SEALS, size | against_writing)

    def close(self) -> None:
        """Our end of it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _open_again(fd: int) -> int:
    """The same file, for reading only. Without /proc a copy of ours, which the seals keep from writing, too."""
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return os.dup(fd)
