"""Whether the jail of this machine holds: attacks that a hostile strategy would try, judged from outside."""

import datetime as dt
import hashlib
import json
import os
import platform
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backtests.runner.corpus.cases import Case, CorpusError
from backtests.runner.corpus.run import CorpusRunner
from backtests.runner.jail.layers import Layers
from backtests.runner.outcome import KILLED

_ATTACKS = """
import ctypes, os, socket
class S(Strategy):
    def initialize(self):
        libc = ctypes.CDLL(None)
        buffer = ctypes.create_string_buffer(16)
        class Piece(ctypes.Structure):
            _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
        def read_victim():
            here, there = Piece(ctypes.addressof(buffer), 16), Piece(@ADDR@, 16)
            if libc.process_vm_readv(@VICTIM@, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) < 0:
                raise OSError
        def fork():
            if os.fork() == 0:
                os._exit(0)
        attacks = {
            "read a file": lambda: open("@CANARY@/db.sqlite3").read(),
            "list a folder": lambda: os.listdir("/etc"),
            "write a file": lambda: open("@CANARY@/w/new", "w"),
            "write to /tmp": lambda: open("/tmp/hindsight-probe", "w"),
            "change a mode": lambda: os.chmod("@CANARY@/w/keep", 0o777),
            "reach a TCP port": lambda: socket.create_connection(("127.0.0.1", 45991), 1),
            "send a datagram": lambda: socket.socket(2, 2).sendto(b"x", ("127.0.0.1", 45992)),
            "reach a socket file": lambda: socket.socket(1, 1).connect("@CANARY@/sock"),
            "reach an abstract socket": lambda: socket.socket(1, 1).connect("\\0jailcanary"),
            "signal the worker": lambda: os.kill(@PARENT@, 0),
            "end a process": lambda: os.kill(@VICTIM@, 9),
            "read another's memory": read_victim,
            "look into /proc": lambda: open("/proc/@PARENT@/environ").read(),
            "fork": fork,
            "start a program": lambda: os.posix_spawn("/bin/true", ["true"], {}),
            "make a memory file": lambda: os.memfd_create("x"),
        }
        for name, attack in attacks.items():
            try:
                attack()
            except (OSError, RuntimeError):
                continue
            self.log("PWNED: " + name)
"""


N_ATTACKS = 16
MAX_TRIES = 5


@dataclass(frozen=True, slots=True)
class Probe:
    """`fault`: what the attacks got through, in words; empty when nothing. When it was made, and how long it took."""

    level: str
    fault: str
    made_at: str = ""  # ISO, UTC
    took_s: float = 0.0


def probe_jail(layers: Layers, cache_dir: Path, memory: Path | None = None) -> Probe:
    """Run the attacks, some two seconds. With `memory`, a folder, what was found holds until the machine changes."""
    file = None if memory is None else memory / f"jail-probe-{os.geteuid()}.json"
    key = _describe_machine(layers)
    if file is not None:
        with suppress(OSError, ValueError, KeyError):
            known = json.loads(file.read_text())
            if known["key"] == key:
                return Probe(layers.level, "", str(known["made_at"]), float(known["took_s"]))
    made_at, started_s = dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), time.monotonic()
    fault = _attack(layers, cache_dir)
    probe = Probe(layers.level, fault, made_at, round(time.monotonic() - started_s, 2))
    if file is not None and not fault:
        with suppress(OSError):
            file.write_text(json.dumps({"key": key, "made_at": made_at, "took_s": probe.took_s}))
    return probe


def _attack(layers: Layers, cache_dir: Path) -> str:
    case = Case("probe", "probe", _ATTACKS, "nopwn", True, "")
    for _ in range(MAX_TRIES):
        try:
            report = CorpusRunner(layers, cache_dir).run([case], with_control=False)
        except (CorpusError, OSError) as error:
            return str(error)
        (judgement,) = report.judgements
        if judgement.verdict != "contained" or judgement.failure_code != KILLED:
            break  # that something outside killed the attacker says nothing about the jail
    return "" if judgement.verdict == "contained" and judgement.status == "succeeded" else judgement.why


def _describe_machine(layers: Layers) -> str:
    """Another kernel start, another bubblewrap, other code of ours: then nothing is known any more."""
    digest = hashlib.sha256(f"{layers} {platform.platform()} {os.environ.get('HINDSIGHT_JAIL')}".encode())
    with suppress(OSError):
        digest.update(Path("/proc/sys/kernel/random/boot_id").read_bytes())
    here = Path(__file__).parent
    files = [*(here.parent / "engine" / "confinement").glob("*.py"), *(here / "jail").glob("*.py"), Path(__file__)]
    if bwrap := shutil.which("bwrap"):
        files.append(Path(bwrap))
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()
