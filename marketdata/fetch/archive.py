"""The exchange's public archive over HTTP: what it holds, and its files, each checked against its checksum."""

import contextlib
import datetime as dt
import hashlib
import http.client
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

from marketdata.ingest.binance_archive import ArchiveFolder
from marketdata.ingest.errors import IngestError
from marketdata.ingest.packing import MAX_PACKED_BYTES, parse_checksum

MAX_LISTING_BYTES = 4 * 2**20
MAX_LISTING_PAGES = 200
MAX_RETRY_AFTER_S = 30.0
USER_AGENT = "hindsight"
_CHUNK = 256 * 1024
_RETRIED = {408, 425, 429, 500, 502, 503, 504}


class ArchiveError(IngestError):
    """The archive does not answer, or not with what is expected."""


class ArchiveMissing(ArchiveError):
    """The archive answers, and does not hold the file."""


class Archive:
    """One archive. `base_url` serves the files; `listing_url` answers as an S3 bucket does (empty: no listing).

    timeout_s bounds every wait for the server; deadline_s, where given, all that one object of this class does.
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
    ) -> None:
        for url in (base_url, listing_url):
            if url and urllib.parse.urlsplit(url).scheme not in ("http", "https"):
                raise ArchiveError("bad_url", f"{url} is no http address. Correct HINDSIGHT_ARCHIVE_URL.")
        self.base_url = base_url.rstrip("/")
        self.listing_url = listing_url.rstrip("/")
        self.timeout_s = timeout_s
        self.n_tries = n_tries
        self.backoff_s = backoff_s
        self._ends_at = None if deadline_s is None else time.monotonic() + deadline_s

    def list_keys(self, prefix: str) -> Iterator[str]:
        """Every key below a prefix, page by page (a page holds at most 1,000). Raises ArchiveError."""
        marker = ""
        for _ in range(MAX_LISTING_PAGES):
            query = urllib.parse.urlencode({"prefix": prefix, "marker": marker})
            data = self._get(f"{self.listing_url}/?{query}", MAX_LISTING_BYTES)
            keys, next_marker = _parse_listing(data, self.listing_url)
            yield from keys
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
                months = [match[1] for key in self.list_keys(folder.prefix) if (match := found.fullmatch(key))]
                return max(months, default=None)
        month = today.replace(day=1)
        for _ in range(n_back):
            month = (month - dt.timedelta(days=1)).replace(day=1)
            with contextlib.suppress(ArchiveMissing):
                self.fetch_checksum(folder.key(f"{month:%Y-%m}"))
                return f"{month:%Y-%m}"
        return None

    def fetch_checksum(self, key: str) -> str:
        """The published SHA-256 of a file. Raises ArchiveMissing."""
        text = self._get(f"{self.base_url}/{key}.CHECKSUM", 4096).decode("utf-8", "replace")
        return parse_checksum(text, key.rpartition("/")[2])

    def download(self, key: str, folder: Path) -> Path:
        """Fetch a zip and its checksum into a folder, under the key's own path. Nothing stays unless they match.

        Raises ArchiveMissing, ArchiveError (no answer, wrong_checksum after every try).
        """
        expected = self.fetch_checksum(key)
        path = folder / key
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == expected:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):  # a damaged transfer is tried once more
            data = self._get(f"{self.base_url}/{key}", MAX_PACKED_BYTES)
            if hashlib.sha256(data).hexdigest() == expected:
                partial = path.with_name(f".{path.name}.part")
                try:
                    partial.write_bytes(data)
                    partial.replace(path)
                finally:
                    partial.unlink(missing_ok=True)
                path.with_name(f"{path.name}.CHECKSUM").write_text(f"{expected}  {path.name}\n")
                return path
        raise ArchiveError("wrong_checksum", f"{key} does not match its checksum, twice. Try again later.")

    def _get(self, url: str, max_bytes: int) -> bytes:
        """The body of a URL; tries again, with growing pauses, what may pass."""
        problem = "no try was made"
        for i_try in range(self.n_tries):
            pause_s = self.backoff_s * 2**i_try
            try:
                request = urllib.request.Request(url, headers={"User-Agent": USER_AGENT})  # noqa: S310 (scheme checked)
                with urllib.request.urlopen(request, timeout=self._time_left(url)) as answer:  # noqa: S310
                    return self._read_body(answer, url, max_bytes)
            except urllib.error.HTTPError as error:
                error.close()
                if error.code in (403, 404):  # S3 answers 403 for a missing key where listing is forbidden
                    raise ArchiveMissing("missing", f"{url} is not in the archive ({error.code}).") from None
                if error.code not in _RETRIED:
                    raise ArchiveError("refused", f"{url} answers {error.code} {error.reason}.") from None
                problem = f"it answers {error.code} {error.reason}"
                pause_s = max(pause_s, _read_retry_after(error.headers.get("Retry-After")))
            except (OSError, http.client.HTTPException) as error:
                problem = str(getattr(error, "reason", "") or error) or type(error).__name__
            if i_try + 1 < self.n_tries:
                time.sleep(min(pause_s, self._time_left(url)))
        raise ArchiveError("no_answer", f"{url} could not be read after {self.n_tries} tries: {problem}.")

    def _read_body(self, answer: IO[bytes], url: str, max_bytes: int) -> bytes:
        chunks: list[bytes] = []
        n_bytes = 0
        while chunk := answer.read(_CHUNK):
            chunks.append(chunk)
            n_bytes += len(chunk)
            if n_bytes > max_bytes:
                raise ArchiveError("too_large", f"{url} is larger than {max_bytes >> 10} KiB.")
            self._time_left(url)
        expected = getattr(answer, "length", 0)
        if expected:  # bytes that the server promised and did not send
            raise http.client.IncompleteRead(b"", expected)
        return b"".join(chunks)

    def _time_left(self, url: str) -> float:
        if self._ends_at is None:
            return self.timeout_s
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise ArchiveError("too_slow", f"{url} was not read in the time allowed.")
        return min(self.timeout_s, left_s)


def _parse_listing(data: bytes, url: str) -> tuple[list[str], str]:
    """Keys of one page of an S3 listing, and the marker of the next page (empty on the last)."""
    if b"<!DOCTYPE" in data[:1024].upper() or b"<!ENTITY" in data.upper():
        raise ArchiveMissing("no_listing", f"{url} does not list its files.")
    try:
        root = ElementTree.fromstring(data)  # noqa: S314 (no document type, no entities: refused above)
    except ElementTree.ParseError:
        raise ArchiveMissing("no_listing", f"{url} does not list its files.") from None
    if not root.tag.endswith("ListBucketResult"):
        raise ArchiveMissing("no_listing", f"{url} does not list its files.")
    keys = [element.text or "" for element in root.iterfind("{*}Contents/{*}Key")]
    if (root.findtext("{*}IsTruncated") or "").strip().lower() != "true":
        return keys, ""
    return keys, root.findtext("{*}NextMarker") or (keys[-1] if keys else "")


def _read_retry_after(text: str | None) -> float:
    try:
        return min(float(text or 0), MAX_RETRY_AFTER_S)
    except ValueError:
        return 0.0
