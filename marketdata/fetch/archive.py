"""The exchange's public archive over HTTP: what it holds, and its files, each checked against its checksum."""

import contextlib
import datetime as dt
import hashlib
import re
import threading
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from marketdata.fetch.errors import ArchiveError, ArchiveMissing
from marketdata.fetch.listing import MAX_LISTING_BYTES, MAX_LISTING_PAGES, ListedFile, parse_listing
from marketdata.fetch.transfer import Transfer
from marketdata.ingest.binance_archive import ArchiveFolder
from marketdata.ingest.packing import MAX_PACKED_BYTES, parse_checksum

__all__ = ["Archive", "ArchiveError", "ArchiveFolder", "ArchiveMissing"]

MAX_CHECKSUM_BYTES = 4096


class Archive:
    """One archive. `base_url` serves the files; `listing_url` answers as an S3 bucket does (empty: no listing).

    timeout_s bounds every wait for the server; deadline_s, where given, all that one object of this class does.
    May be used by several threads.
    """

    def __init__(
        self,
        base_url: str,
        listing_url: str = "",
        *,
        timeout_s: float = 10.0,
        n_tries: int = 4,
        backoff_s: float = 0.5,
        deadline_s: float | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        for url in (base_url, listing_url):
            parts = urllib.parse.urlsplit(url)
            if url and (parts.scheme not in ("http", "https") or not parts.hostname):
                raise ArchiveError("bad_url", f"{url} is no http address. Correct HINDSIGHT_ARCHIVE_URL.")
        self.base_url = base_url.rstrip("/")
        self.listing_url = listing_url.rstrip("/")
        self._transfer = Transfer(
            timeout_s=timeout_s, n_tries=n_tries, backoff_s=backoff_s, deadline_s=deadline_s, stop=stop
        )

    def list_files(self, prefix: str, after: str = "") -> Iterator[ListedFile]:
        """Every file below a prefix, page by page (a page holds at most 1,000), from the key behind `after` on.

        Raises ArchiveError.
        """
        marker = after
        for _ in range(MAX_LISTING_PAGES):
            query = urllib.parse.urlencode({"prefix": prefix, "marker": marker})
            data = self._transfer.read(f"{self.listing_url}/?{query}", MAX_LISTING_BYTES)
            files, next_marker = parse_listing(data, self.listing_url)
            yield from files
            if not next_marker or next_marker <= marker:
                return
            marker = next_marker

    def newest_month(self, folder: ArchiveFolder, today: dt.date, n_back: int = 3) -> str | None:
        """The newest month (as 2025-01) whose zip exists; by the listing, else by asking month by month, backwards.

        Raises ArchiveError when the archive does not answer.
        """
        if self.listing_url:
            with contextlib.suppress(ArchiveError):
                found = re.compile(re.escape(folder.key("")[: -len(".zip")]) + r"([0-9]{4}-[0-9]{2})\.zip")
                keys = [file.key for file in self.list_files(folder.prefix)]
                return max((match[1] for key in keys if (match := found.fullmatch(key))), default=None)
        month = today.replace(day=1)
        for _ in range(n_back):
            month = (month - dt.timedelta(days=1)).replace(day=1)
            with contextlib.suppress(ArchiveMissing):
                self.fetch_checksum(folder.key(f"{month:%Y-%m}"))
                return f"{month:%Y-%m}"
        return None

    def fetch_checksum(self, key: str) -> str:
        """The published SHA-256 of a file. Raises ArchiveMissing."""
        text = self._transfer.read(f"{self.base_url}/{key}.CHECKSUM", MAX_CHECKSUM_BYTES).decode("utf-8", "replace")
        return parse_checksum(text, key.rpartition("/")[2])

    def download(self, key: str, folder: Path, sha256: str = "", on_bytes: Callable[[int], None] | None = None) -> Path:
        """Fetch a zip and its checksum into a folder, under the key's own path. Nothing stays unless they match.

        A file that is there and matches is not fetched again. `sha256`: where the checksum is known already.
        Raises ArchiveMissing, ArchiveError (no answer, wrong_checksum after every try), OSError (disk full).
        """
        expected = sha256 or self.fetch_checksum(key)
        path = folder / key
        if path.is_file() and _hash_file(path) == expected:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")

        def save(chunks: Iterator[bytes]) -> str:
            digest = hashlib.sha256()
            with partial.open("wb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
                    if on_bytes:
                        on_bytes(len(chunk))
            return digest.hexdigest()

        try:
            for _ in range(2):  # a damaged transfer is tried once more
                if self._transfer.get(f"{self.base_url}/{key}", MAX_PACKED_BYTES, save) == expected:
                    path.with_name(f"{path.name}.CHECKSUM").write_text(f"{expected}  {path.name}\n")
                    return partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        raise ArchiveError("wrong_checksum", f"{key} does not match its checksum, twice. Try again later.")


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
