"""Files on their way: a few threads that fetch, and the folder in which files wait to be taken in."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Container, Iterable
from pathlib import Path

from marketdata.fetch.archive import Archive
from marketdata.fetch.errors import ArchiveError, ArchiveStopped
from marketdata.fetch.shelf import ArchiveFile
from marketdata.fetch.waiting import WAIT_S
from marketdata.ingest.errors import IngestError

N_THREADS = 4
KEEP_S = 2 * 86_400  # what a killed fetch left behind is of use to the next one for so long
MAX_WAITING_BYTES = 2 * 2**30


class DownloadCache:
    """Verified files that are not taken in yet, by the archive's own paths. Several processes may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def take(self, key: str, into: Path) -> Path | None:
        """Move a file and its checksum into a folder of ours. None: another process was first."""
        source, target = self.folder / key, into / key
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.replace(target)
        except FileNotFoundError:
            return None
        with contextlib.suppress(FileNotFoundError):
            source.with_name(f"{source.name}.CHECKSUM").replace(target.with_name(f"{target.name}.CHECKSUM"))
        return target

    def sweep(self, keep_s: float = KEEP_S, max_bytes: int = MAX_WAITING_BYTES) -> int:
        """Delete what is old, and the oldest while the rest is too much. Returns how many files."""
        found = []
        for path in self.folder.rglob("*"):
            try:
                if path.is_file():
                    stat = path.stat()
                    found.append((stat.st_mtime, stat.st_size, path))
            except FileNotFoundError:
                continue
        n_bytes = sum(size for _, size, _ in found)
        n_swept = 0
        for changed_at, size, path in sorted(found, key=lambda file: file[0]):
            if n_bytes <= max_bytes and time.time() - changed_at < keep_s:
                break
            path.unlink(missing_ok=True)
            n_bytes -= size
            n_swept += 1
        return n_swept


class Ticket:
    """One file on its way. Once `is_done`: in the cache, held already (its sources name it), or `error`."""

    def __init__(self, file: ArchiveFile) -> None:
        self.file = file
        self.is_held = False
        self.error: IngestError | OSError | None = None
        self._done = threading.Event()

    @property
    def is_done(self) -> bool:
        return self._done.is_set()

    def finish(self) -> None:
        self._done.set()

    def wait(self, on_wait: Callable[[], None]) -> None:
        """Returns when it is done; on_wait is called meanwhile, and gives up by raising."""
        while not self._done.wait(WAIT_S):
            on_wait()


class Downloader:
    """Fetches files in threads that never outlive the process, in the order of their tickets.

    `held`: the SHA-256 of files that are taken in already; these are not fetched again.
    """

    def __init__(
        self, archive: Archive, cache: DownloadCache, stop: threading.Event, n_threads: int = N_THREADS
    ) -> None:
        self._archive, self._cache, self._stop = archive, cache, stop
        self._n_threads = n_threads
        self._threads: list[threading.Thread] = []
        self._waiting: queue.SimpleQueue[tuple[Ticket, Container[str]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self.n_bytes = 0

    def submit(self, files: Iterable[ArchiveFile], held: Container[str]) -> list[Ticket]:
        tickets = [Ticket(file) for file in files]
        for ticket in tickets:
            self._waiting.put((ticket, held))
        while len(self._threads) < self._n_threads:  # daemons: a stalled server must not hold up the end of a command
            thread = threading.Thread(target=self._work, name=f"download {len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return tickets

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                ticket, held = self._waiting.get(timeout=WAIT_S)
            except queue.Empty:
                continue
            try:
                self._fetch(ticket, held)
            except (IngestError, OSError) as error:
                ticket.error = error
            except Exception as error:
                ticket.error = ArchiveError("internal", f"{ticket.file.name}: {type(error).__name__}: {error}")
            finally:
                ticket.finish()

    def _fetch(self, ticket: Ticket, held: Container[str]) -> None:
        if self._stop.is_set():
            raise ArchiveStopped
        file = ticket.file
        sha256 = file.sha256 or self._archive.fetch_checksum(file.key)
        if sha256 in held:
            ticket.is_held = True
            return
        self._archive.download(file.key, self._cache.folder, sha256, self._count)

    def _count(self, n_bytes: int) -> None:
        with self._lock:
            self.n_bytes += n_bytes
