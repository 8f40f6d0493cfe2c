"""`make run` on a home that is not there yet, again, and stopped."""

import os
import subprocess
import sys
import time

import pytest

from tests.e2e.site import ROOT, Site


@pytest.fixture
def fresh_site(tmp_path):
    site = Site(tmp_path / "home with a space")
    yield site
    if site.process is not None and site.process.poll() is None:
        site.interrupt()


def test_first_start_second_start_and_stop(fresh_site):
    fresh_site.start()
    email, password = fresh_site.staff_account()
    assert email == "admin@localhost"
    assert password
    assert fresh_site.url in fresh_site.output
    assert fresh_site.processes()

    fresh_site.interrupt()
    assert wait_for_none(fresh_site)

    before = len(fresh_site.output)
    seconds = fresh_site.start()
    again = fresh_site.output[before:]
    assert "password:" not in again
    assert "Preparing the database" not in again
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)  # seconds mean little where others compute, too
    assert seconds < 5 * max(1.0, busy)
    fresh_site.interrupt()
    assert wait_for_none(fresh_site)


def wait_for_none(site) -> bool:
    """Nobody works on the home any more."""
    deadline = time.monotonic() + 3
    while site.processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not site.processes()


def test_a_busy_port_gets_one_sentence(site, tmp_path):
    second = Site(tmp_path / "home", port=site.port)
    done = subprocess.run(
        [sys.executable, "deploy/bootstrap.py", "run"],
        cwd=ROOT,
        env=second.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"Port {site.port} is already in use")
    assert len(done.stderr.strip().splitlines()) == 1
    assert not second.home.exists()
