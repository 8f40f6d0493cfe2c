"""A server that answers as an S3 store does on its bad days."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DATA = b"what was stored" * 1_000
NAME = hashlib.sha256(DATA).hexdigest()


def xml(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()


class BrokenS3:
    """`mode`: "stall", "stall in body", "cut", "garble", or a status such as "503 SlowDown"."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "BrokenS3":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        broken = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if broken.mode == "stall":
                    broken.released.wait(30)
                elif broken.mode.split()[0].isdigit():
                    status, code = broken.mode.split()
                    self.send(int(status), xml(code))
                else:
                    self.send(200, bytes(len(DATA)) if broken.mode == "garble" else DATA)

            def send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Last-Modified", "Wed, 01 Jan 2025 00:00:00 GMT")
                self.send_header("ETag", '"1"')
                self.end_headers()
                if broken.mode in ("cut", "stall in body"):
                    self.wfile.write(body[: len(body) // 2])
                    self.wfile.flush()
                    if broken.mode == "stall in body":
                        broken.released.wait(30)
                    self.close_connection = True
                else:
                    self.wfile.write(body)

            do_GET = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815  (the names that the library calls)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
