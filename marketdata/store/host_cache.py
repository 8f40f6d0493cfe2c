"""What a host keeps so that it need not fetch or unpack a segment again: at most so many bytes, the least used go.

Everything here is derived and may be deleted at any time, by anyone, also while it is read. Any number of processes
share one folder.
"""

import fcntl
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from marketdata.store.files import is_segment_name
from marketdata.store.publishing import delete_temporaries, temporary_beside

logger = logging.getLogger(__name__)

DEFAULT_MAX_BYTES = 20 * 1024**3
FULL_RATIO = 0.9  # how full it is left, so that it need not be cleared at every write
RESCAN_RATIO = 0.02  # of the limit: how much one process writes before it looks again
TOUCH_EVERY_S = 60.0  # a use within this time of the last one is not written down


class HostCache:
    """Files named by a segment and a suffix, in 256 subfolders of `folder`."""

    def __init__(self, folder: Path, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._unscanned_bytes: float = max_bytes  # look at the first write
        self._is_refused = False

    def path_of(self, name: str, suffix: str) -> Path:
        return self.folder / name[:2] / f"{name}.{suffix}"

    def touch(self, path: Path) -> None:
        """Note that a file was used; what was not used for longest goes first."""
        with suppress(OSError):
            facts, now_ns = path.stat(), time.time_ns()
            if now_ns - facts.st_atime_ns > TOUCH_EVERY_S * 1e9:
                os.utime(path, ns=(now_ns, facts.st_mtime_ns))  # when it was written stays: it tells files apart

    def write(self, path: Path, write: Callable[[Path], object]) -> bool:
        """Keep what `write` puts into the file it is given. False, and a line in the log, where the disk is full or
        must not be written: what is derived need not be kept. Nothing is synced, so a power cut can leave wrong bytes
        under the right name: readers check what they find."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary_beside(path) as temporary:
                write(temporary)
                n_bytes = temporary.stat().st_size
                os.replace(temporary, path)
        except OSError as error:
            if not self._is_refused:  # once, not at every reading
                logger.warning("The cache of candles cannot be written: %s.", error.strerror or error)
            self._is_refused = True
            return False
        self._is_refused = False
        self._make_room(n_bytes)
        return True

    def drop(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink(missing_ok=True)

    def names(self) -> dict[str, list[Path]]:
        """What is kept, by segment."""
        found: dict[str, list[Path]] = {}
        for path in self.folder.glob("*/*.*"):
            if is_segment_name(path.stem):
                found.setdefault(path.stem, []).append(path)
        return found

    def written_s(self, path: Path) -> float:
        """When a file was written; infinity if it is not there any more."""
        try:
            return path.stat().st_mtime
        except FileNotFoundError:
            return math.inf

    def delete_leftovers(self, older_than_s: float, *, is_dry: bool = False) -> list[str]:
        return delete_temporaries(self.folder, older_than_s, is_dry=is_dry)

    def _make_room(self, n_written: int) -> None:
        self._unscanned_bytes += n_written
        if self._unscanned_bytes < RESCAN_RATIO * self.max_bytes:
            return
        with suppress(OSError), self._only_one() as lock:
            if lock is None:  # who clears up now looks once more
                return
            looked_at_ns = -1
            while looked_at_ns != (asked_ns := os.fstat(lock).st_mtime_ns):
                looked_at_ns = asked_ns
                self.evict()
            self._unscanned_bytes = 0

    def evict(self) -> int:
        """Remove the least recently used files if there is too much. Returns how many."""
        facts = []
        for path in self.folder.glob("*/*.*"):
            with suppress(FileNotFoundError):
                status = path.stat()
                facts.append((status.st_atime, status.st_size, path))
        total, n_removed = sum(size for _, size, _ in facts), 0
        if total <= self.max_bytes:
            return 0
        for _, size, path in sorted(facts, key=lambda fact: fact[0]):
            if total <= FULL_RATIO * self.max_bytes:
                break
            self.drop(path)
            total -= size
            n_removed += 1
        logger.info("Removed %s files from the cache of candles, which may have %s bytes.", n_removed, self.max_bytes)
        return n_removed

    @contextmanager
    def _only_one(self) -> Iterator[int | None]:
        """The lock, for the one process that clears up now. The others get None, and leave the time in the lock: what
        they wrote may not have been there yet when that process looked.
        """
        descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.utime(descriptor, ns=(time.time_ns(),) * 2)
                yield None
            else:
                yield descriptor
        finally:
            os.close(descriptor)
