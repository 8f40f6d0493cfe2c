"""A public archive on the loopback interface: files made by the tests, and faults on demand."""

import contextlib
import hashlib
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

HTML = b"<!doctype html><html></html>"


class LoopbackArchive:
    """Serves `files` by key with their checksums; lists them as S3 does, `page_size` keys a page.

    `faults` maps a key to what to do at its next requests: a status, "short" (cut the body), "stall", "garble", "html",
    "endless" (a body that does not end), or an address to redirect to. `before` is called with the key of each request.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[int | str]] = {}
        self.requests: Counter[str] = Counter()
        self.page_size = 3
        self.lists = True
        self.retry_after = ""
        self.released = threading.Event()
        self.before = lambda key: None
        self.n_at_once = self.most_at_once = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def add(self, key: str, data: bytes) -> None:
        self.files[key] = data
        self.files[f"{key}.CHECKSUM"] = f"{hashlib.sha256(data).hexdigest()}  {key.rpartition('/')[2]}\n".encode()

    def __enter__(self) -> "LoopbackArchive":
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def listing(self, query: dict[str, list[str]]) -> bytes:
        prefix, marker = query.get("prefix", [""])[0], query.get("marker", [""])[0]
        keys = [key for key in sorted(self.files) if key.startswith(prefix) and key > marker]
        page, is_cut = keys[: self.page_size], len(keys) > self.page_size
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.files[key])}</Size></Contents>" for key in page
        )
        return (
            '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{str(is_cut).lower()}</IsTruncated>{contents}</ListBucketResult>"
        ).encode()

    def _handler(self):
        archive = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                archive.n_at_once += 1
                archive.most_at_once = max(archive.most_at_once, archive.n_at_once)
                try:
                    url = urlsplit(self.path)
                    key = url.path.lstrip("/")
                    archive.requests[key] += 1
                    archive.before(key)
                    fault = archive.faults[key].pop(0) if archive.faults.get(key) else None
                    body = archive.files.get(key)
                    if not key:
                        body = archive.listing(parse_qs(url.query)) if archive.lists else HTML
                    self.answer(fault, HTML if fault == "html" else body)
                finally:
                    archive.n_at_once -= 1

            def answer(self, fault, body) -> None:
                if isinstance(fault, str) and "://" in fault:
                    self.send_response(302)
                    self.send_header("Location", fault)
                elif isinstance(fault, int) or body is None:
                    self.send_response(fault if isinstance(fault, int) else 404)
                    if archive.retry_after:
                        self.send_header("Retry-After", archive.retry_after)
                elif fault == "endless":
                    self.send_response(200)
                    self.end_headers()
                    while not archive.released.is_set():
                        self.wfile.write(bytes(65_536))
                    return
                else:
                    self.send_body(fault, body)
                    return
                self.send_header("Content-Length", "0")
                self.end_headers()

            def send_body(self, fault, body) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if fault == "stall":
                    archive.released.wait(20)
                elif fault == "short":
                    self.wfile.write(body[: len(body) // 2])
                elif fault == "garble":
                    self.wfile.write(bytes(byte ^ 1 for byte in body))
                else:
                    self.wfile.write(body)

            def handle_one_request(self) -> None:
                with contextlib.suppress(ConnectionError):  # the client had enough
                    super().handle_one_request()

            def log_message(self, *args: object) -> None:
                pass

        return Handler
