"""GET over HTTP within limits: of time, of bytes, of tries, of where a redirect may lead."""

import datetime as dt
import email.utils
import http.client
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import IO, Any

from marketdata.fetch.errors import ArchiveError, ArchiveMissing, ArchiveStopped

MAX_RETRY_AFTER_S = 30.0
MAX_BODY_S = 900.0  # a server that sends a byte now and then is given up, too
USER_AGENT = "hindsight"
_CHUNK = 256 * 1024
_RETRIED = {408, 425, 429, 500, 502, 503, 504}


class Transfer:
    """timeout_s bounds every wait for the server; deadline_s, where given, all that one object of this class does.

    `stop`, once set, ends every transfer with ArchiveStopped, at the latest when the server sends or timeout_s is over.
    """

    def __init__(
        self,
        *,
        timeout_s: float = 10.0,
        n_tries: int = 4,
        backoff_s: float = 0.5,
        deadline_s: float | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        self.n_tries = n_tries
        self.backoff_s = backoff_s
        self._stop = stop or threading.Event()
        self._ends_at = None if deadline_s is None else time.monotonic() + deadline_s
        self._opener = _build_opener()

    def read(self, url: str, max_bytes: int) -> bytes:
        """The body of a URL. Raises ArchiveMissing, ArchiveError: refused, too_large, too_slow, no_answer, ..."""
        return self.get(url, max_bytes, b"".join)

    def get[Result](self, url: str, max_bytes: int, consume: Callable[[Iterator[bytes]], Result]) -> Result:
        """What `consume` makes of the body's chunks; it is called anew for every try.

        What may pass is tried again, with growing pauses, or when the server says (`Retry-After`).
        """
        problem = "no try was made"
        for i_try in range(self.n_tries):
            pause_s = self.backoff_s * 2**i_try
            try:
                request = urllib.request.Request(url, headers={"User-Agent": USER_AGENT})  # noqa: S310 (scheme checked)
                with self._opener.open(request, timeout=self._time_left(url)) as answer:
                    return consume(self._read_chunks(answer, url, max_bytes))
            except urllib.error.HTTPError as error:
                error.close()
                if error.code in (403, 404):  # S3 answers 403 for a missing key where listing is forbidden
                    raise ArchiveMissing("missing", f"{url} is not in the archive ({error.code}).") from None
                if error.code not in _RETRIED:
                    raise ArchiveError("refused", f"{url} answers {error.code} {error.reason}.") from None
                problem = f"it answers {error.code} {error.reason}"
                pause_s = max(pause_s, read_retry_after(error.headers.get("Retry-After")))
            except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
                problem = str(getattr(error, "reason", "") or error) or type(error).__name__
            if i_try + 1 < self.n_tries:
                self._stop.wait(min(pause_s, self._time_left(url, MAX_RETRY_AFTER_S)))
        raise ArchiveError("no_answer", f"{url} could not be read after {self.n_tries} tries: {problem}.")

    def _read_chunks(self, answer: Any, url: str, max_bytes: int) -> Iterator[bytes]:
        n_bytes, ends_at = 0, time.monotonic() + MAX_BODY_S
        while chunk := answer.read1(_CHUNK):
            n_bytes += len(chunk)
            if n_bytes > max_bytes:
                raise ArchiveError("too_large", f"{url} is larger than {max_bytes >> 10} KiB.")
            if time.monotonic() > ends_at:
                raise ArchiveError("too_slow", f"{url} took longer than {MAX_BODY_S:.0f} seconds.")
            self._time_left(url)
            yield chunk
        if answer.length:  # bytes that the server promised and did not send
            raise http.client.IncompleteRead(b"", answer.length)

    def _time_left(self, url: str, longest_s: float | None = None) -> float:
        if self._stop.is_set():
            raise ArchiveStopped
        longest_s = self.timeout_s if longest_s is None else longest_s
        if self._ends_at is None:
            return longest_s
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise ArchiveError("too_slow", f"{url} was not read in the time allowed.")
        return min(longest_s, left_s)


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Redirects lead to the same host and to HTTP only: an archive must not send us elsewhere."""

    max_redirections = 3

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        old, new = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        is_safer = (old.scheme, new.scheme) == ("http", "https") and old.hostname == new.hostname
        if not is_safer and (old.scheme, old.netloc) != (new.scheme, new.netloc):
            fp.close()
            where = f"{new.scheme}://{new.netloc}"
            text = f"{req.full_url} leads to {where}. If that is the archive, set HINDSIGHT_ARCHIVE_URL to it."
            raise ArchiveError("redirected", text)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _build_opener() -> urllib.request.OpenerDirector:
    """One that knows HTTP and nothing else: no file, no FTP, no data addresses."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _SameHost(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def read_retry_after(text: str | None) -> float:
    """Seconds to wait, from a number or a date; 0 where neither is given, and never longer than is sensible."""
    if not text:
        return 0.0
    try:
        wait_s = float(text)
    except ValueError:
        try:
            wait_s = (email.utils.parsedate_to_datetime(text) - dt.datetime.now(dt.UTC)).total_seconds()
        except (ValueError, TypeError):
            return 0.0
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S) if wait_s == wait_s else 0.0
