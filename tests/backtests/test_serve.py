"""The supervisor's parts, with small programs in the place of web and cluster."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from backtests.models import WorkerPool
from backtests.operations import service_manager
from backtests.operations.processes import MARK, children, descendants, find_left_behind, mark_own, read_processes
from backtests.operations.serve import ServeError, listen
from backtests.operations.unit import ClusterUnit, Unit

ROOT = Path(__file__).resolve().parents[2]
needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="watches processes through /proc")

# A main process, its sentinel, two workers, and a worker's child in a group of its own.
CLUSTER = """\
import os, subprocess, sys, time
if os.fork() == 0:
    for i in range(2):
        if os.fork() == 0:
            if i:
                subprocess.Popen(["sleep", "60"], start_new_session=True)
            time.sleep(60)
            os._exit(0)
    time.sleep(60)
    os._exit(0)
time.sleep(60)
"""


@pytest.fixture
def start():
    units = []

    def start(program, kind=Unit):
        unit = kind("cluster", [sys.executable, "-c", program], cwd=ROOT, env=dict(os.environ))
        unit.start()
        units.append(unit)
        return unit

    yield start
    for unit in units:
        unit.kill()


def wait_until(is_so, seconds=10.0):
    give_up_at = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < give_up_at, "waited too long"
        time.sleep(0.02)
    return found


def alive_below(pid):
    return [process for process in descendants(pid, read_processes()) if not process.is_zombie]


def is_alive(process):
    found = read_processes().get(process.pid)
    return found is not None and found.started == process.started and not found.is_zombie


@needs_proc
def test_killing_a_unit_ends_everything_it_started_even_in_other_groups(start):
    unit = start(CLUSTER)
    wait_until(lambda: len(alive_below(unit.pid)) == 4)
    everything = alive_below(unit.pid)
    assert len({process.group for process in everything}) == 2
    unit.kill()
    assert [process for process in everything if is_alive(process)] == []


@needs_proc
def test_a_death_in_the_pool_is_a_fault_of_the_cluster(start):
    unit = start(CLUSTER, ClusterUnit)
    wait_until(lambda: len(alive_below(unit.pid)) == 4)
    assert unit.find_fault(read_processes()) == ""
    sentinel = children(unit.pid, read_processes())[0]
    victim = children(sentinel.pid, read_processes())[0]
    os.kill(victim.pid, signal.SIGKILL)
    assert wait_until(lambda: unit.find_fault(read_processes())) == f"process {victim.pid} of its pool died"


RENEWING = """\
import os, time
while True:
    if (sentinel := os.fork()) == 0:
        for _ in range(2):
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
        time.sleep(60)
        os._exit(0)
    os.waitpid(sentinel, 0)
"""


@needs_proc
def test_a_cluster_is_renewed_without_its_main_process(start):
    unit = start(RENEWING, ClusterUnit)
    wait_until(lambda: len(alive_below(unit.pid)) == 3)
    main, before = unit.pid, alive_below(unit.pid)
    assert unit.find_fault(read_processes()) == ""
    os.kill(before[-1].pid, signal.SIGKILL)
    assert wait_until(lambda: unit.find_fault(read_processes()))
    unit.ask_to_end()
    assert unit.renew()
    sentinels = [process for process in before if process.parent_pid == main]
    assert [process for process in sentinels if is_alive(process)] == []
    wait_until(lambda: len(alive_below(main)) == 3)
    assert (unit.pid, unit.find_fault(read_processes())) == (main, "")
    for process in before:  # here nobody adopts what a dead sentinel leaves
        if is_alive(process):
            os.kill(process.pid, signal.SIGKILL)


@needs_proc
def test_a_sentinel_that_ended_by_itself_leaves_its_successor_alone(start):
    unit = start(RENEWING, ClusterUnit)
    wait_until(lambda: len(alive_below(unit.pid)) == 3)
    main, before = unit.pid, alive_below(unit.pid)
    sentinel = next(process for process in before if process.parent_pid == main)
    unit.ask_to_end()
    os.kill(sentinel.pid, signal.SIGKILL)
    successors = wait_until(
        lambda: len(below := alive_below(main)) == 3 and {p.pid for p in below}.isdisjoint({sentinel.pid}) and below
    )
    assert unit.has_ended()
    assert unit.renew()
    assert alive_below(main) == successors


@needs_proc
def test_a_cluster_whose_main_process_stands_still_is_not_renewed(start):
    unit = start(RENEWING, ClusterUnit)
    wait_until(lambda: len(alive_below(unit.pid)) == 3)
    os.kill(unit.pid, signal.SIGSTOP)
    wait_until(lambda: read_processes()[unit.pid].is_stopped)
    assert not unit.renew()


@needs_proc
def test_the_end_of_a_strategys_process_is_no_fault(start):
    unit = start(CLUSTER, ClusterUnit)
    wait_until(lambda: len(alive_below(unit.pid)) == 4)
    assert unit.find_fault(read_processes()) == ""
    strategy = next(process for process in alive_below(unit.pid) if process.group != unit.pid)
    os.kill(strategy.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(strategy))
    assert unit.find_fault(read_processes()) == ""


@needs_proc
@pytest.mark.parametrize("who", ["main", "sentinel", "worker"])
def test_a_process_that_stands_still_is_a_fault_of_the_cluster(start, who, monkeypatch):
    monkeypatch.setattr("backtests.operations.unit.STOPPED_S", 0.2)
    unit = start(CLUSTER, ClusterUnit)
    wait_until(lambda: len(alive_below(unit.pid)) == 4)
    sentinel = children(unit.pid, read_processes())[0]
    pid = {"main": unit.pid, "sentinel": sentinel.pid, "worker": children(sentinel.pid, read_processes())[0].pid}[who]
    assert unit.find_fault(read_processes()) == ""
    os.kill(pid, signal.SIGSTOP)
    assert wait_until(lambda: unit.find_fault(read_processes())) == f"its process {pid} was stopped"


@needs_proc
def test_a_strategys_process_that_stands_still_is_continued(start):
    unit = start(CLUSTER, ClusterUnit)
    wait_until(lambda: len(alive_below(unit.pid)) == 4)
    strategy = next(process for process in alive_below(unit.pid) if process.group != unit.pid)
    os.kill(strategy.pid, signal.SIGSTOP)
    wait_until(lambda: read_processes()[strategy.pid].is_stopped)
    assert unit.find_fault(read_processes()) == ""
    wait_until(lambda: not read_processes()[strategy.pid].is_stopped)


def test_the_end_of_the_main_process_is_a_fault_that_names_the_cause(start):
    unit = start("raise SystemExit(3)")
    assert wait_until(lambda: unit.find_fault({})) == "it ended with code 3"
    assert unit.has_failed()


def test_a_main_process_that_was_killed_has_not_failed(start):
    unit = start("import time; time.sleep(60)")
    os.kill(unit.pid, signal.SIGKILL)
    assert wait_until(lambda: unit.find_fault({})) == "it was killed by signal 9"
    assert not unit.has_failed()
    unit = start("import time; time.sleep(60)")
    os.kill(unit.pid, signal.SIGKILL)
    assert wait_until(lambda: unit.find_fault({})) == "it was killed by signal 9"


@needs_proc
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
def test_a_launched_program_dies_with_its_supervisor():
    supervisor = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, subprocess, sys, time\n"
            "subprocess.Popen([sys.executable, '-m', 'backtests.operations.launch', str(os.getpid()), 'sleep', '60'],"
            " start_new_session=True)\n"
            "time.sleep(60)",
        ],
        cwd=ROOT,
    )
    try:
        program = wait_until(
            lambda: [p for p in children(supervisor.pid, read_processes()) if _runs(p, "sleep")], seconds=20
        )[0]
    finally:
        supervisor.kill()
        supervisor.wait()
    wait_until(lambda: not is_alive(program), 3)


SUPERVISOR = """\
import os, pathlib, sys, time
from backtests.operations.processes import read_processes
from backtests.operations.unit import Unit
unit = Unit("web server", ["sleep", "60"], cwd=pathlib.Path.cwd(), env=dict(os.environ))
unit.start()
os.kill(unit.pid, 19)  # in its first moments: it has asked the kernel for nothing yet
while not read_processes()[unit.pid].is_stopped:
    time.sleep(0.01)
print(unit.pid, flush=True)
time.sleep(60)
"""


@needs_proc
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
def test_a_program_that_was_stopped_in_its_first_moments_dies_with_its_supervisor():
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        pid = int(supervisor.stdout.readline())
        program = read_processes()[pid]
        assert program.is_stopped
        assert not _runs(program, "sleep")
    finally:
        supervisor.kill()
        supervisor.wait()
        supervisor.stdout.close()
    wait_until(lambda: not is_alive(program), 3)


@needs_proc
@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_what_a_killed_supervisor_left_behind_is_found(start):
    program = start("import time; time.sleep(60)").pid
    wait_until(lambda: MARK in Path(f"/proc/{program}/environ").read_text())
    assert find_left_behind() == []
    starter = subprocess.Popen(["true"])
    mark = mark_own()[MARK].replace(f":{os.getpid()}:", f":{starter.pid}:")
    starter.wait()
    left = subprocess.Popen(["sleep", "60"], env={**os.environ, MARK: mark})
    elsewhere = subprocess.Popen(["sleep", "60"], env={**os.environ, MARK: "pid:[1]:7:7"})
    try:
        wait_until(lambda: _runs(read_processes()[left.pid], "sleep"))
        assert [process.pid for process in find_left_behind()] == [left.pid]
    finally:
        for process in (left, elsewhere):
            process.kill()
            process.wait()


def _runs(process, name):
    return Path(f"/proc/{process.pid}/comm").read_text().strip() == name


@needs_proc
def test_a_program_whose_supervisor_is_gone_already_does_not_start():
    done = subprocess.run(
        [sys.executable, "-m", "backtests.operations.launch", "1", "echo", "started"], cwd=ROOT, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == b""


def test_a_busy_port_is_said_in_one_sentence():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=f"Port {port} is in use on 127.0.0.1"):
            listen("127.0.0.1", port)


def test_a_foreign_address_is_said_in_one_sentence():
    with pytest.raises(ServeError):
        listen("192.0.2.1", 8000)


def test_the_socket_answers_before_the_web_server_does():
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname(), timeout=1):
        pass


def test_a_socket_that_a_service_manager_hands_over_is_used():
    program = """
import os, socket
listener = socket.create_server(("127.0.0.1", 0))
address = listener.getsockname()
os.dup2(listener.fileno(), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
import django
django.setup()
from backtests.operations.serve import listen
assert listen("192.0.2.1", 80).getsockname() == address
assert "LISTEN_PID" not in os.environ
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_a_service_manager_hears_what_it_is_told(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(1)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        service_manager.tell("READY=1")
        assert manager.recv(100) == b"READY=1"


def test_nothing_is_told_where_nobody_listens(monkeypatch, tmp_path):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    service_manager.tell("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    service_manager.tell("READY=1")


@pytest.mark.parametrize(("option", "value"), [("port", 0), ("port", 70_000), ("workers", 0), ("workers", 65)])
def test_nonsense_on_the_command_line_is_refused(option, value):
    with pytest.raises(CommandError, match="1"):
        call_command("serve", **{option: value})


@pytest.mark.django_db
def test_a_database_that_is_behind_is_refused_before_anything_starts(monkeypatch):
    monkeypatch.setattr(
        "backtests.management.commands.serve.MigrationExecutor.migration_plan", lambda *args: ["something"]
    )
    with pytest.raises(CommandError, match="not up to date"):
        call_command("serve")


@pytest.mark.django_db
def test_a_second_machine_on_sqlite_is_refused():
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL is for several machines")
    WorkerPool.objects.beat("another.example.org:1", 2)
    with pytest.raises(CommandError, match=r"another\.example\.org works on this SQLite database"):
        call_command("serve")
