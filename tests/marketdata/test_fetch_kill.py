"""The command as a process of its own that is killed: what it left is used, and the end is the same."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.marketdata.archive_makers import serve

ROOT = Path(__file__).resolve().parents[2]
MONTHS = [f"2024-{month:02}" for month in range(1, 13)]
N_KILLS = 3

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("DATABASE_URL" in os.environ, reason="works in a home of its own, on SQLite"),
]


class Site:
    def __init__(self, home, archive):
        self.home = home
        self.env = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "HINDSIGHT_HOME": str(home)}
        self.env |= {"HINDSIGHT_ARCHIVE_URL": archive.url, "HINDSIGHT_ARCHIVE_LISTING_URL": archive.url}
        self.call("migrate", "-v0")

    def popen(self, *args):
        command = [sys.executable, "manage.py", *args]
        return subprocess.Popen(command, cwd=ROOT, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def call(self, *args):
        process = self.popen(*args)
        out = process.communicate(timeout=120)[0].decode()
        assert process.returncode == 0, out
        return out

    def fetch(self):
        return self.popen("fetch_candles", "BTCUSDT", "--timeframe", "1h", "--from", MONTHS[0], "--to", MONTHS[-1])

    def jobs(self):
        with closing(sqlite3.connect(self.home / "hindsight.sqlite3", timeout=20)) as database:
            rows = database.execute("SELECT status, n_files_done FROM marketdata_ingestjob ORDER BY created_at")
            return rows.fetchall()

    def n_months(self):
        with closing(sqlite3.connect(self.home / "hindsight.sqlite3", timeout=20)) as database:
            return database.execute("SELECT count(*) FROM marketdata_segment").fetchone()[0]


@pytest.fixture
def site(tmp_path, loopback_archive):
    serve(loopback_archive, *MONTHS)
    loopback_archive.before = lambda key: time.sleep(0.15)
    return Site(tmp_path, loopback_archive)


def wait_for_months(site, process, n):
    give_up_at = time.monotonic() + 60
    while site.n_months() < n and process.poll() is None:
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def test_a_fetch_that_is_killed_again_and_again_ends_as_if_it_never_was(site, loopback_archive, tmp_path_factory):
    chance = random.Random(7)
    for n in range(1, N_KILLS + 1):
        process = site.fetch()
        wait_for_months(site, process, 3 * n - 2)
        time.sleep(chance.random() * 0.3)
        process.kill()
        process.wait()
    out = site.fetch().communicate(timeout=120)[0].decode()
    assert "held before" in out, out
    revision = json.loads(site.call("list_candles", "--json"))["revision"]

    undisturbed = Site(tmp_path_factory.mktemp("undisturbed"), loopback_archive)
    zips = {key: n for key, n in loopback_archive.requests.items() if key.endswith(".zip")}
    assert undisturbed.fetch().wait(120) == 0
    assert json.loads(undisturbed.call("list_candles", "--json"))["revision"] == revision
    assert sum(zips.values()) <= len(MONTHS) + 5 * N_KILLS  # each kill costs at most what was under way
    assert zips[min(zips)] <= 2  # and what was taken in early is never fetched again
    waiting = [path for path in (site.home / "cache" / "downloads").rglob("*.zip") if ".job-" not in str(path)]
    assert not waiting


def test_sigterm_ends_a_fetch_cleanly(site):
    process = site.fetch()
    wait_for_months(site, process, 1)
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    assert site.jobs()[0][0] == "cancelled"
    assert not list((site.home / "cache" / "downloads").glob(".job-*"))
