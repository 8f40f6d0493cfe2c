"""What an attack is aimed at, and whether it was hit: files, doors, a process of the jail's own user, the candles."""

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from backtests.engine.request import Bars, Feed, Instrument, MarginTier, RunMode, RunRequest, SymbolFeed, TradingMarket
from backtests.runner.corpus.listeners import ABSTRACT_NAME, TCP_PORT, UDP_PORT, Listeners
from backtests.runner.jail.layers import give_uid
from backtests.runner.jail.trees import PYTHON

SECRET = "SECRET_DB: what no strategy may read"  # noqa: S105  (it guards nothing)
HOUR_MS = 3_600_000
PATIENCE_S = 1.0
START_MS = 1_735_689_600_000
N_BARS = 240
PREFIX = "hindsight-canary-"
OLD_S = 3600.0  # no stage stands for this long
OPEN_TO_ALL = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))  # noqa: S108 -- looked at, nothing is written there

_VICTIM = """
import ctypes, os, sys, time
uid = int(sys.argv[1])
if uid >= 0:
    os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
libc = ctypes.CDLL(None)
libc.prctl(1, 9, 0, 0, 0); libc.prctl(4, 1, 0, 0, 0); libc.prctl(0x59616D61, -1, 0, 0, 0)
secret = ctypes.create_string_buffer(b"SECRET_VICTIM" * 4)
print(ctypes.addressof(secret), flush=True)
time.sleep(86_400)
"""


class Stage:
    """One place for one case at a time. `uid` is the jail's user where it can have one of its own."""

    def __init__(self) -> None:
        self.uid = give_uid()
        _sweep_left_behind()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self.folder.chmod(0o755)
        self._write_files()
        self.listeners = Listeners(self.folder / "sock")
        self.feed = make_feed()
        self._candles = hash_candles(self.feed)
        self._cores = _find_cores(self.folder)
        self._start_victim()
        self._before = self._look()

    def places(self) -> Mapping[str, str]:
        """What stands for the placeholders of a case."""
        return {
            "@CANARY@": str(self.folder),
            "@VICTIM@": str(self._victim.pid),
            "@ADDR@": self._address,
            "@PARENT@": str(os.getpid()),
            str(TCP_PORT): str(self.listeners.tcp_port),
            str(UDP_PORT): str(self.listeners.udp_port),
            ABSTRACT_NAME: self.listeners.abstract_name,
        }

    def find_damage(self) -> list[str]:
        """What is not as it was; the stage is mended for the next case."""
        now = self._look()
        damage = [what for what in self._before if now[what] != self._before[what]]
        if damage:
            self._mend()
        return damage

    def close(self) -> None:
        self.listeners.close()
        self._end_victim()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _look(self) -> dict[str, object]:
        return {
            "files were changed": _hash_folder(self.folder),
            "a listener was reached": self.listeners.n_knocks,
            "a process of the same user was ended": self._victim.poll(),
            "the candles were changed": hash_candles(self.feed),
            "a process is left": self._find_leftovers(),
            "a core file is left": _find_cores(self.folder),
            "a file was left outside": self._find_dropped(),
        }

    def _find_leftovers(self) -> tuple[int, ...]:
        """Processes of a case that run on a moment after it: what was killed takes its time to end."""
        give_up_at = time.monotonic() + PATIENCE_S
        while (found := self._find_running()) and time.monotonic() < give_up_at:
            time.sleep(0.02)
        return found

    def _find_running(self) -> tuple[int, ...]:
        """By the jail's user where it has one of its own; else children of this thread, and orphans.

        Orphans come to the main thread, since the corpus's runner adopts them; dead ones are buried here.
        """
        tasks = {threading.get_native_id(), os.getpid()}
        listed = [Path(f"/proc/self/task/{task}/children").read_text().split() for task in tasks]
        children = {int(pid) for pids in listed for pid in pids} - {self._victim.pid}
        if self.uid is not None:
            users = (int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _owner_of(entry) == self.uid)
            children |= set(users) - {self._victim.pid}
        for pid in children:
            with suppress(ChildProcessError):
                if not _is_running(pid):
                    os.waitpid(pid, os.WNOHANG)
        return tuple(sorted(pid for pid in children if _is_running(pid)))

    def _find_dropped(self) -> tuple[Path, ...]:
        """What the jail's user, where it has one of its own, left where anybody may write."""
        if self.uid is None:
            return ()
        dropped = []
        for entry in (entry for place in OPEN_TO_ALL if place.is_dir() for entry in place.iterdir()):
            with suppress(OSError):
                if entry.lstat().st_uid == self.uid:
                    dropped.append(entry)
        return tuple(sorted(dropped))

    def _mend(self) -> None:
        for entry in (*self.folder.iterdir(), *self._find_dropped()):
            if entry == self.folder / "sock":
                continue
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        self._write_files()
        for pid in self._find_leftovers() if self.uid is not None else ():
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if self._victim.poll() is not None:
            self._end_victim()
            self._start_victim()
        self.feed = make_feed()
        self._before = self._look()

    def _write_files(self) -> None:
        for name in ("db.sqlite3", "db2", "real.sqlite3"):
            (self.folder / name).write_text(SECRET)
        (self.folder / "x.xml").write_text(f"<secret>{SECRET}</secret>")
        (self.folder / "w").mkdir()
        (self.folder / "w" / "keep").write_text(SECRET)
        (self.folder / "w").chmod(0o777)
        for file in (*self.folder.glob("*.*"), self.folder / "db2", self.folder / "w" / "keep"):
            file.chmod(0o644)

    def _start_victim(self) -> None:
        command = [PYTHON, "-S", "-c", _VICTIM, str(-1 if self.uid is None else self.uid)]
        self._victim = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd="/")  # noqa: S603
        assert self._victim.stdout is not None
        self._address = self._victim.stdout.readline().decode().strip()

    def _end_victim(self) -> None:
        self._victim.kill()
        self._victim.wait()
        if self._victim.stdout is not None:
            self._victim.stdout.close()


def make_feed() -> Feed:
    """A random walk of hours, the same every time, that nobody can write to."""
    close = 100 * np.exp(np.cumsum(np.random.default_rng(11).normal(0, 0.01, N_BARS)))
    open_ = np.append(100.0, close[:-1])
    columns = (open_, np.maximum(open_, close) * 1.001, np.minimum(open_, close) * 0.999, close, np.full(N_BARS, 50.0))
    times = START_MS + HOUR_MS * np.arange(N_BARS)
    for column in (times, *columns):
        column.flags.writeable = False
    tier = MarginTier(floor=0.0, cap=1e9, maintenance_rate=0.004, max_leverage=100.0, cumulative=0.0)
    return Feed((SymbolFeed(Instrument("BTCUSDT", tiers=(tier,)), Bars(times, *columns)),))


def make_request(feed: Feed, mode: RunMode = RunMode.DRAFT) -> RunRequest:
    times = feed.symbols[0].bars.open_ms
    return RunRequest(
        market=TradingMarket.USDM,
        symbols=("BTCUSDT",),
        timeframe="1h",
        from_ms=int(times[0]),
        to_ms=int(times[-1]) + HOUR_MS,
        mode=mode,
    )


def hash_candles(feed: Feed) -> str:
    bars = feed.symbols[0].bars
    digest = hashlib.sha256()
    for column in (bars.open_ms, bars.open, bars.high, bars.low, bars.close, bars.volume):
        digest.update(column.tobytes())
    return digest.hexdigest()


def _hash_folder(folder: Path) -> str:
    """Names, kinds, modes, owners, links and contents."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        facts = path.lstat()
        digest.update(f"{path} {facts.st_mode} {facts.st_uid} {facts.st_size}".encode())
        if path.is_file() and not path.is_symlink():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _find_cores(folder: Path) -> tuple[str, ...]:
    places = (Path("/"), Path.cwd(), folder, folder / "w")
    return tuple(sorted(str(found) for place in places for found in place.glob("core*") if found.is_file()))


def _sweep_left_behind() -> None:
    """A stage whose process was killed could not clean up."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            found = folder.lstat()
            if found.st_uid == os.geteuid() and time.time() - found.st_mtime > OLD_S:
                shutil.rmtree(folder, ignore_errors=True)


def _owner_of(entry: Path) -> int:
    """The real user; the folder itself belongs to root where a process may not be looked into."""
    with suppress(OSError):
        for line in (entry / "status").read_text().splitlines():
            if line.startswith("Uid:"):
                return int(line.split()[1])
    return -1


def _is_running(pid: int) -> bool:
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False
