"""The file that carries a job: made empty before the child starts, filled once, then unchangeable for ever."""

import fcntl
import os
import tempfile
from collections.abc import Iterable


class JobFile:
    """`child_fd` is what the child inherits. A sealed memfd; where there is none, a nameless file."""

    def __init__(self) -> None:
        self._is_memory = hasattr(os, "memfd_create")
        if self._is_memory:
            self._fd = os.memfd_create("hindsight-job", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            self.child_fd = os.dup(self._fd)
            return
        self._fd, name = tempfile.mkstemp(prefix="hindsight-job-")
        try:
            self.child_fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.unlink(name)

    def fill(self, chunks: Iterable[bytes | memoryview]) -> None:
        """Write the job and shut the file. Nobody can change it any more, the child's own descriptor included."""
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                view = view[os.write(self._fd, view) :]
        if self._is_memory:
            seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
            fcntl.fcntl(self._fd, fcntl.F_ADD_SEALS, seals)

    def close(self) -> None:
        """Our end of it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
