"""Whole runs through a real child: how they end, and what a user is told."""

import os
import signal
import tempfile
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from accounts.quotas import Limits
from backtests.engine.loop import run
from backtests.engine.strategy import Session, load_strategy
from backtests.runner.execute import execute
from backtests.runner.jail import child as child_module
from backtests.runner.outcome import RunJob
from tests.engine.strategy_stage import HOUR_MS, START_MS, make_bars, make_feed, make_request

LIMITS = Limits(run_wall_clock_s=60, run_memory_mb=256, max_orders=1_000, max_log_bytes=50_000)
CACHE = Path(os.environ.get("NUMBA_CACHE_DIR", f"{tempfile.gettempdir()}/hindsight-tests-numba-{os.getuid()}"))
CROSS = """
class Cross(Strategy):
    fast = Param(5, min=2, max=50)

    def initialize(self):
        self.a = self.indicator(ta.sma, "close", length=self.fast)
        self.b = self.indicator(ta.sma, "close", length=20)
        self.log("ready")

    def on_data(self, data):
        if crossed_above(self.a, self.b):
            self.buy(equity_ratio=0.9, leverage=3, tag="up")
            self.plot("bought", data.close, pane="price")
        elif crossed_below(self.a, self.b):
            self.close_position()
"""


def random_walk(n=600, seed=3):
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, n)))


def make_job(source, *, n=600, limits=LIMITS, warmup_bars=30, **fields):
    feed = make_feed(make_bars(random_walk(n)))
    return RunJob(make_request(feed, warmup_bars=warmup_bars, **fields), source, feed, limits, CACHE)


def body_job(body, **fields):
    """A job whose on_data is given."""
    text = "import numpy as np\nclass Mine(Strategy):\n    def initialize(self): pass\n    def on_data(self, data):\n"
    return make_job(text + textwrap.indent(textwrap.dedent(body).strip(), "        ") + "\n", **fields)


def start_time_of(pid):
    """None for a process that is gone, or dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def survivors_of(noted, within_s=2.0):
    """Who is left a moment later: the kernel takes its time to end what was killed."""
    deadline = time.monotonic() + within_s
    while (found := [pid for pid, started in noted if start_time_of(pid) == started]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


@pytest.fixture
def children(monkeypatch):
    """The processes of every child that was started, with their start times."""
    started, hand_over = [], child_module.Child.hand_over

    def note(child, job):
        while (inside := child.find_pid()) is None:
            time.sleep(0.01)
        started.extend((pid, start_time_of(pid)) for pid in {child.process.pid, inside})
        hand_over(child, job)

    monkeypatch.setattr(child_module.Child, "hand_over", note)
    return started


def test_a_strategy_with_targets_runs_in_a_child_too_and_its_indicators_are_drawn():
    source = (
        "import numpy as np\nclass S(Strategy):\n    def targets(self, candles):\n"
        "        mean = candles.indicator(ta.sma, 'close', length=7)\n        self.log('asked')\n"
        "        return np.where(candles.close > mean, 0.5, 0.0)\n"
    )
    job = make_job(source)
    outcome = execute(job)
    assert outcome.failure is None
    here = run(Session(load_strategy(source)), job.request, job.feed)
    assert outcome.result.result_hash() == here.result_hash()
    assert len(outcome.result.trades) > 3
    assert [series.name for series in outcome.indicators] == ["SMA_7"]
    assert [line.text for line in outcome.log] == ["asked"]


def test_a_run_in_a_child_gives_what_the_same_run_gives_here():
    job = make_job(CROSS, params={"fast": 7})
    outcome = execute(job)
    assert outcome.failure is None
    assert outcome.status == "succeeded"
    here = run(Session(load_strategy(CROSS, {"fast": 7})), job.request, job.feed)
    assert outcome.result.result_hash() == here.result_hash()
    assert len(outcome.result.trades) > 3
    assert set(outcome.result.tags) == {"up"}
    assert [line.text for line in outcome.log] == ["ready"]
    assert outcome.log[0].time_ms == START_MS + 30 * HOUR_MS
    assert [series.name for series in outcome.indicators] == ["SMA_7", "SMA_20"]
    assert all(len(series.values) == 570 for series in outcome.indicators)
    np.testing.assert_allclose(outcome.indicators[0].values[0], np.mean(random_walk()[24:31]), rtol=1e-6)
    (bought,) = outcome.plots
    fills = outcome.result.fills
    np.testing.assert_array_equal(bought.time_ms, fills["time_ms"][fills["side"] > 0])
    np.testing.assert_array_equal(bought.values, fills["price"][fills["side"] > 0])
    assert set(outcome.timings) == {"handover", "start", "strategy", "replay", "total"}


def test_two_runs_are_the_same():
    job = body_job("if np.random.random() < 0.1: self.target_ratio(np.random.normal())")
    first, second = execute(job), execute(job)
    assert first.result.result_hash() == second.result.result_hash()
    assert len(first.result.orders) > 20
    other = execute(replace(job, request=replace(job.request, seed=1)))
    assert other.result.result_hash() != first.result.result_hash()


def test_a_strategy_without_a_trade_succeeds():
    outcome = execute(body_job("pass"))
    assert (outcome.status, len(outcome.result.trades), outcome.result.n_bars) == ("succeeded", 0, 570)


def test_a_syntax_error_names_its_line():
    failure = execute(make_job("class S(Strategy):\n    def on_data(self, data:\n        pass\n")).failure
    assert (failure.code, failure.line, failure.source_line) == ("strategy_source", 2, "def on_data(self, data:")
    assert "SyntaxError" in failure.message


def test_an_exception_on_bar_100_names_line_cause_and_bar():
    failure = execute(body_job("self.log(self.i_bar)\nif self.i_bar == 100:\n    1 / 0")).failure
    assert (failure.code, failure.line, failure.source_line) == ("strategy_error", 7, "1 / 0")
    assert failure.message == "ZeroDivisionError: division by zero"
    assert failure.bar_time_ms == START_MS + 130 * HOUR_MS
    assert failure.log_tail[-1] == "2025-01-06 11:00 100"
    assert 'File "strategy.py", line 7, in on_data' in failure.traceback


def test_a_bad_parameter_ends_with_its_bounds():
    failure = execute(make_job(CROSS, params={"fast": 99})).failure
    assert (failure.code, failure.message) == (
        "strategy_source",
        "RequestError: fast = 99 must be at least 2 and at most 50.",
    )


def test_an_endless_loop_ends_at_the_wall_clock_and_shows_its_line(children):
    limits = replace(LIMITS, run_wall_clock_s=15)
    started = time.monotonic()
    failure = execute(body_job("self.log('before')\nwhile True:\n    pass", limits=limits)).failure
    assert time.monotonic() - started < 55
    assert (failure.code, failure.source_line) in {("time_limit", "pass"), ("time_limit", "while True:")}
    assert "longer than 15 s" in failure.message
    assert survivors_of(children) == []


@pytest.mark.parametrize(
    "body",
    ["self.kept = getattr(self, 'kept', [])\nwhile True: self.kept.append(bytearray(10**6))", "np.ones(10**10)"],
    ids=["piece by piece", "at once"],
)
def test_endless_allocation_ends_at_the_memory_limit(body):
    failure = execute(body_job(body)).failure
    assert failure.code == "memory_limit"
    assert failure.line >= 5
    assert "more memory than a run may use" in failure.message


def test_a_flood_of_output_ends_the_run():
    failure = execute(body_job("import sys\nwhile True: sys.stdout.write('x' * 100_000)")).failure
    assert failure.code == "output_limit"


def test_what_is_printed_is_kept_up_to_its_last_64_kib():
    outcome = execute(body_job("print('line', self.i_bar, 'x' * 1000)"))
    assert outcome.status == "succeeded"
    printed = [line for line in outcome.log if line.level == "output"]
    assert printed[-1].text.startswith("line 569 x")
    assert 60 <= len(printed) <= 66


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("self.log('x' * 500)", "log_limit", "at most 50,000 bytes; this is 50,220"),
        ("self.plot('close', data.close)", "plot_limit", "at most 100 points; this is 101"),
        ("for _ in range(10): self.buy(0.001)", "order_limit", "at most 1,000 orders; this is 1,001"),
    ],
)
def test_log_plots_and_orders_without_end_end_at_their_limits(body, code, message):
    failure = execute(body_job(body, limits=replace(LIMITS, max_plot_points=100))).failure
    assert (failure.code, failure.line) == (code, 5)
    assert message in failure.message


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os; os._exit(0)", "ended before the last bar"),
    ],
)
def test_a_process_that_dies_is_a_crash_with_a_name(body, text):
    failure = execute(body_job(body)).failure
    assert failure.code == "crashed"
    assert text in failure.message
    if "ctypes" in body:
        assert failure.line == 5


def test_a_process_that_is_killed_has_a_name_of_its_own_since_the_strategy_may_not_be_the_cause(children):
    def kill(progress):
        if progress.stage == "running":
            for pid, _ in children:
                os.kill(pid, signal.SIGKILL)
        return True

    failure = execute(body_job("while True: pass"), kill).failure
    assert failure.code == "killed"
    assert "SIGKILL" in failure.message


def test_exit_is_an_error_of_the_strategy():
    failure = execute(body_job("exit()")).failure
    assert (failure.code, failure.line) == ("strategy_error", 5)


def test_a_strategy_starts_no_process(children):
    failure = execute(body_job("import subprocess\nsubprocess.Popen(['sleep', '60'])")).failure
    assert (failure.code, failure.line) == ("strategy_error", 6)
    assert "PermissionError" in failure.message
    assert survivors_of(children) == []


def test_a_thread_left_behind_does_not_keep_the_run():
    started = time.monotonic()
    body = "import threading, time\nif self.i_bar == 0:\n    threading.Thread(target=time.sleep, args=(60,)).start()"
    assert execute(body_job(body)).status == "succeeded"
    assert time.monotonic() - started < 55


def test_progress_is_told_and_can_end_the_run(children):
    told = []

    def carry(progress):
        told.append(progress)
        return progress.n_done < 100

    outcome = execute(body_job("import time; time.sleep(0.01)\nself.log('at work')"), carry)
    assert outcome.status == "cancelled"
    assert [progress.stage for progress in told][:2] == ["preparing", "starting"]
    last = told[-1]
    assert (last.stage, last.n_total) == ("running", 570)
    assert 100 <= last.n_done < 570
    assert last.bars_per_s > 0
    assert last.eta_s > 0
    assert last.equity == 10_000
    assert any(line.endswith(" at work") for line in last.log_tail)
    assert survivors_of(children) == []


def test_a_run_can_be_stopped_from_outside(children):
    stop = threading.Event()
    threading.Timer(3.0, stop.set).start()
    started = time.monotonic()
    outcome = execute(body_job("while True: pass"), should_stop=stop.is_set)
    assert outcome.status == "cancelled"
    assert time.monotonic() - started < 6
    assert survivors_of(children) == []


def test_a_child_whose_own_account_differs_is_not_believed(monkeypatch):
    body = """
    import backtests.engine.result as result
    result.EngineResult.result_hash = lambda self: "0" * 64
    """
    failure = execute(body_job(body)).failure
    assert (failure.code, failure.message) == (
        "integrity",
        "The run's own account and the replay of its orders disagree.",
    )


FORGE = """
import os
import numpy as np
from backtests.engine.frames import encode_frame
from backtests.engine.frames.wire import encode_rows
from backtests.engine.kernels.types import COMMAND
{write}
os._exit(0)
"""
ROW = "(100, 0, 1, 77, 0, 1, 1, 1.0, *[np.nan] * 5, 1.0, False, False, 0, -1)"


@pytest.mark.parametrize(
    ("write", "code"),
    [
        (
            f"rows = np.array([{ROW}], COMMAND); os.write(4, encode_frame('ORDERS', rows=encode_rows(rows), tags=[]) "
            "+ encode_frame('DONE', ledger_hash='0' * 64, n_bars=570))",
            "integrity",
        ),
        ("os.write(4, b'\\x00\\x00\\x10\\x00{')", "crashed"),
    ],
)
def test_a_child_that_forges_frames_gains_nothing(write, code):
    failure = execute(body_job(FORGE.format(write=write))).failure
    assert failure.code == code


def test_the_child_knows_nothing_of_its_surroundings(monkeypatch):
    monkeypatch.setenv("HINDSIGHT_SECRET_KEY", "do not tell")
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    body = """
    import os, sys
    def is_open(fd):
        try: return bool(os.fstat(fd))
        except OSError: return False
    if self.i_bar == 0:
        self.log(sorted(os.environ))
        self.log([fd for fd in range(64) if is_open(fd)])
        self.log(sorted({name.split(".")[0] for name in sys.modules} & {"django", "accounts", "config", "strategies"}))
        self.log([os.getcwd(), sys.flags.hash_randomization])
    """
    outcome = execute(body_job(body))
    os.close(reader)
    os.close(writer)
    environment, files, modules, rest = [line.text for line in outcome.log]
    assert "SECRET" not in environment
    assert "HINDSIGHT" not in environment
    assert files == "[0, 1, 2, 4, 5]"  # 4: the frames; 5: the job, which nobody can change
    assert modules == "[]"
    assert rest == "['/', 0]"


def test_the_child_can_write_no_file_and_leaves_no_core(tmp_path):
    body = f"""
    if self.i_bar == 0:
        try:
            with open({str(tmp_path / "file")!r}, "w") as file: file.write("x")
        except OSError as error: self.log("refused")
        import resource
        self.log([resource.getrlimit(kind) for kind in (resource.RLIMIT_CORE, resource.RLIMIT_NOFILE)])
    """
    outcome = execute(body_job(body))
    assert [line.text for line in outcome.log] == ["refused", "[(0, 0), (32, 32)]"]


def test_candles_cannot_be_changed_by_the_child():
    body = """
    if self.i_bar == 0:
        bars = self._session.account.feed.symbols[0].bars
        try: bars.close[:] = 1.0
        except ValueError as error: self.log(error)
        try: bars.close.flags.writeable = True
        except ValueError as error: self.log(error)
    """
    outcome = execute(body_job(body))
    assert len(outcome.log) == 2


def test_a_machine_that_cannot_start_a_child_says_so(monkeypatch):
    def refuse(*args):
        raise OSError("no more processes")

    monkeypatch.setattr("backtests.runner.jail.spare.start_child", refuse)
    outcome = execute(body_job("pass"))
    assert (outcome.status, outcome.failure.code) == ("failed", "internal")
    assert "no more processes" in outcome.failure.message


def test_the_parent_keeps_no_descriptor_of_a_run():
    execute(body_job("pass"))
    before = len(os.listdir("/proc/self/fd"))
    execute(body_job("pass"))
    execute(body_job("1 / 0"))
    assert len(os.listdir("/proc/self/fd")) == before
