"""The real site, with processes killed under it: runs end as they should, and nothing stays behind."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from backtests.operations.cluster import STEADY_AFTER_S
from backtests.operations.processes import children, read_processes
from tests.backtests.served_site import POOL, ROOT, ServedSite, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("DATABASE_URL" in os.environ, reason="serves a site of its own, on SQLite"),
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="watches processes through /proc"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = ServedSite(tmp_path_factory.mktemp("served"))
    site.migrate()
    yield site.start()
    site.close()
    assert site.survivors() == [], site.text()


def answers(site):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{site.port}/", timeout=5)
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False
    return True


def age_s(process):
    return time.clock_gettime(time.CLOCK_BOOTTIME) - process.started / os.sysconf("SC_CLK_TCK")


def test_a_killed_worker_costs_its_run_an_attempt_and_its_healthy_neighbour_none(site):
    # The main process gives up when a sentinel ends sooner; it proves the jail before it starts its first one.
    wait_until(lambda: age_s(site.sentinel()) > STEADY_AFTER_S + 0.5, 10, "the sentinel to have stood for a while")
    runs = [site.request_run(), site.request_run()]
    wait_until(lambda: len(site.strategies()) == 2, 90, "two strategies to run")
    strategy = site.strategies()[0]
    main, before = site.cluster(), {process.pid for process in site.workers()}

    os.kill(strategy.parent_pid, signal.SIGKILL)

    wait_until(lambda: strategy.pid not in {p.pid for p in site.processes()}, 2, "its strategy to end with it")
    rows = [site.wait_for_success(run_id) for run_id in runs]
    assert sorted((row["attempt"], row["n_lost"]) for row in rows) == [(2, 0), (2, 1)]
    assert before.isdisjoint(process.pid for process in site.workers())
    assert site.cluster() == main  # which has everything loaded
    assert " died" in site.text()  # the sentinel says so or the supervisor, whichever sees it first


def test_a_killed_idle_worker_leaves_a_cluster_that_works(site):
    victim = site.workers()[0]
    os.kill(victim.pid, signal.SIGKILL)
    site.wait_for_success(site.request_run("Quick"))


@pytest.mark.parametrize("victim", ["main", "sentinel"])
def test_a_killed_head_of_the_cluster_takes_all_below_it_along(site, victim):
    main = site.cluster()
    pool = {process.pid for process in site.workers()}
    os.kill(main.pid if victim == "main" else site.sentinel().pid, signal.SIGKILL)
    wait_until(lambda: pool.isdisjoint(p.pid for p in site.processes()), 5, "the old pool to be gone")
    site.wait_for_success(site.request_run("Quick"))


def test_a_cancelled_run_has_no_process_after_two_seconds(site):
    run_id = site.request_run()
    site.wait_for_strategy()
    site.cancel_run(run_id)
    wait_until(lambda: not site.strategies(), 4, "the strategy to end")
    assert site.wait_for_status(run_id, "cancelled", seconds=3)


def test_the_web_server_comes_back(site):
    web = next(
        process
        for process in site.processes()
        if process.parent_pid == site.process.pid and process.pid != site.cluster().pid
    )
    os.kill(web.pid, signal.SIGKILL)
    wait_until(lambda: web.pid not in {process.pid for process in site.processes()}, 3, "the old one to go")
    wait_until(lambda: answers(site), 60, "the new one to answer")


def test_ctrl_c_gives_the_run_back_and_leaves_no_process(site):
    run_id = site.request_run()
    site.wait_for_strategy()
    began_at = time.monotonic()
    site.process.send_signal(signal.SIGINT)

    assert site.process.wait(15) == 0
    assert time.monotonic() - began_at < 8
    assert site.survivors() == []
    row = site.row(run_id)
    assert (row["status"], row["n_lost"], row["attempt"]) == ("queued", 0, 1)

    site.start()
    assert site.wait_for_success(run_id)["attempt"] == 2


def test_a_killed_supervisor_leaves_no_process(site):
    run_id = site.request_run()
    site.wait_for_strategy()
    site.process.kill()
    site.process.wait()
    wait_until(lambda: not site.survivors(), 5, lambda: f"these to be gone: {site.survivors()}")
    assert site.row(run_id)["status"] == "running"  # its lease decides, at the next start

    site.start()
    row = site.wait_for_success(run_id)
    assert row["n_lost"] == 1
    assert json.loads(row["summary"])["n_bars"] == 15 * 24


def test_a_cluster_without_a_supervisor_ends_when_one_of_it_dies_at_once(site):
    """What systemd sees: it restarts what has ended, and can do nothing for what hangs."""
    cluster = subprocess.Popen([sys.executable, "manage.py", "qcluster"], cwd=ROOT, env=site.env)
    try:
        pool = wait_until(lambda: pool_of(cluster.pid), 30, "its pool")
        os.kill(pool[0].pid, signal.SIGKILL)
        cluster.wait(15)
        wait_until(lambda: not [p for p in pool if p.pid in read_processes()], 5, "its pool to be gone")
    finally:
        cluster.kill()
        cluster.wait()


def pool_of(pid):
    """Workers, monitor and pusher, once all are there."""
    processes = read_processes()
    pool = [p for sentinel in children(pid, processes) for p in children(sentinel.pid, processes)]
    return pool if len(pool) == POOL else None
