"""A whole site as `manage.py serve` runs it, in a home of its own on SQLite, watched from outside."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from backtests.operations.processes import Process, children, descendants, read_processes

ROOT = Path(__file__).resolve().parents[2]

SLOW = """\
import time

from hindsight import Strategy


class Slow(Strategy):
    def initialize(self):
        pass

    def on_data(self, bar):
        time.sleep(0.006)
        if self.get_position_size() == 0:
            self.buy(notional=100)
"""

POOL = 4  # two workers, the monitor, and the pusher
# Asks the site for runs as its web process would; one line in, one line out.
CUSTOMER = """\
import sys
import django
django.setup()
from accounts.models import User
from backtests import services
from backtests.models import BacktestRun
from strategies.models import StrategyVersion
from tests.builders import BUY_ONCE, build_candles, build_version
from tests.backtests.served_site import SLOW
owner = User.objects.filter(email="owner@example.org").first()
if owner is None:
    owner = User.objects.create_user("owner@example.org", "correct horse")
    build_candles()
    build_version(owner, SLOW, "Slow")
    build_version(owner, BUY_ONCE, "Quick")
raw = {"market": "usdm", "symbol": "BTCUSDT", "timeframe": "1h", "from": "2025-01-02", "to": "2025-01-17"}
for line in sys.stdin:
    verb, what = line.split()
    if verb == "request":
        version = StrategyVersion.objects.get(strategy__name=what)
        print(services.request_run(owner, raw, strategy_version=version).pk.hex, flush=True)
    else:
        print(services.cancel_run(BacktestRun.objects.get(pk=what)), flush=True)
"""


def wait_until(is_so, seconds, what):
    give_up_at = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < give_up_at, f"waited {seconds} s for {what() if callable(what) else what}"
        time.sleep(0.05)
    return found


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class ServedSite:
    """`start` returns when the site says that it runs and has workers; `seen` are all processes that it ever had."""

    def __init__(self, home):
        self.home = home
        self.port = free_port()
        self.env = {**os.environ, "HINDSIGHT_HOME": str(home), "HINDSIGHT_WORKERS": "2"}
        self.env["HINDSIGHT_SECRET_KEY"] = "a key for tests only"
        self.env["HINDSIGHT_CHECK_VERSIONS"] = "0"
        self.env["HINDSIGHT_WARM_CHILD"] = "0"  # so that a strategy's process is one with a run
        self.env["DJANGO_SETTINGS_MODULE"] = "config.settings"
        self.env.pop("DATABASE_URL", None)
        self.output = home / "output.txt"
        self.process = None
        self.customer = None
        self.seen = set()

    def migrate(self):
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=self.env, check=True)

    def _ask(self, line):
        if self.customer is None:
            self.customer = subprocess.Popen(
                [sys.executable, "-c", CUSTOMER],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        self.customer.stdin.write(line + "\n")
        self.customer.stdin.flush()
        return self.customer.stdout.readline().strip()

    def start(self, *options):
        with self.output.open("ab") as output:
            said = f"Hindsight is running at http://127.0.0.1:{self.port}/"
            n_before = self.text().count(said)
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", "--port", str(self.port), *options],
                cwd=ROOT,
                env=self.env,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_until(
            lambda: self.text().count(said) > n_before or self.process.poll() is not None, 40, "the site to answer"
        )
        assert self.process.poll() is None, self.text()
        # The jail is proven first, for which the engine may have to be compiled.
        wait_until(lambda: len(self.workers()) == POOL, 300, "its workers")
        return self

    def text(self):
        return self.output.read_text()

    def processes(self):
        found = descendants(self.process.pid, read_processes())
        self.seen |= {(process.pid, process.started) for process in found}
        return found

    def survivors(self):
        """Of all processes that were ever seen, those that still live."""
        return [
            command_of(process) or process
            for process in read_processes().values()
            if (process.pid, process.started) in self.seen and not process.is_zombie
        ]

    def cluster(self) -> Process:
        return self._clusters()[0]

    def _clusters(self):
        found = children(self.process.pid, read_processes())
        return [process for process in found if "qcluster" in command_of(process)]

    def workers(self):
        """The cluster's pool: workers, monitor, pusher. Empty while it is being started."""
        processes = read_processes()
        return [
            worker
            for cluster in self._clusters()
            for sentinel in children(cluster.pid, processes)
            if sentinel.group == cluster.pid
            for worker in children(sentinel.pid, processes)
        ]

    def sentinel(self) -> Process:
        return read_processes()[self.workers()[0].parent_pid]

    def strategies(self):
        """One process of each run: the strategy's, or bubblewrap's around it."""
        workers = {process.pid for process in self.workers()}
        return [process for process in self.processes() if process.parent_pid in workers]

    def request_run(self, strategy="Slow"):
        return self._ask(f"request {strategy}")

    def cancel_run(self, run_id):
        assert self._ask(f"cancel {run_id}") == "True"

    def row(self, run_id):
        with closing(sqlite3.connect(self.home / "hindsight.sqlite3", timeout=20)) as database:
            database.row_factory = sqlite3.Row
            return dict(database.execute("SELECT * FROM backtests_backtestrun WHERE id = ?", [run_id]).fetchone())

    def wait_for_status(self, run_id, *statuses, seconds=40):
        wait_until(lambda: self.row(run_id)["status"] in statuses, seconds, f"{statuses}, is {self.row(run_id)}")
        return self.row(run_id)

    def wait_for_success(self, run_id, seconds=60):
        row = self.wait_for_status(run_id, "succeeded", "failed", "cancelled", seconds=seconds)
        assert row["status"] == "succeeded", f"{row['failure']}\n{self.text()[-4000:]}"
        return row

    def wait_for_strategy(self):
        """A strategy's process that is at work, and the worker that started it."""
        strategy = wait_until(self.strategies, 30, "a strategy to run")[0]
        return strategy, strategy.parent_pid

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.processes()
            self.process.send_signal(signal.SIGINT)
            self.process.wait(20)

    def close(self):
        self.stop()
        if self.customer is not None:
            self.customer.communicate()


def command_of(process):
    try:
        return Path(f"/proc/{process.pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""
