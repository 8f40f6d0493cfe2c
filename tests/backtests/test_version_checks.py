"""Checks of saved versions: who makes them, when, in the jail, and what is kept."""

import operator
from dataclasses import replace

import numpy as np
import pytest
from django.db.models import F, Value
from django.db.models.functions import Now

from backtests import tasks
from backtests.models import VersionCheck
from backtests.models.version_check import LEASE, MAX_LOST
from backtests.operations import check_job, version_checks
from backtests.operations.check_job import build_check_job
from backtests.operations.version_checks import dispatch_checks, make_check, note_versions
from backtests.runner.jailed_check import CheckStopped, check_in_jail
from backtests.runner.lookahead import Difference, Verdict
from backtests.runner.outcome import Failure
from tests.backtests.test_lookahead import make_job
from tests.builders import build_candles, build_run, build_version

ORDERS_BY = """
class S(Strategy):
    def initialize(self):
        {start}
    def on_data(self, data):
        {body}
"""
PEEK = """
import pandas as pd
class S(Strategy):
    def targets(self, candles):
        close = pd.Series(candles.close)
        return (close.shift(-1) > close) * 0.5
"""


@pytest.fixture
def sent(monkeypatch):
    messages = []

    def send(task, pk, *, timeout):
        operator.index(timeout)  # as the queue takes it: anything else fails there, in the worker
        messages.append((task, pk))

    monkeypatch.setattr(version_checks, "async_task", send)
    return messages


@pytest.fixture
def check(owner, hindsight_home):
    version = build_version(owner)
    note_versions()
    return VersionCheck.objects.get(pk=version.pk)


@pytest.fixture
def verdict_is(monkeypatch):
    def answer(verdict):
        def check_in_jail(job, go_on, max_s):
            if isinstance(verdict, Exception):
                raise verdict
            return verdict, "full"

        monkeypatch.setattr(version_checks, "check_in_jail", check_in_jail)

    return answer


def expire(check):
    VersionCheck.objects.filter(pk=check.pk).update(lease_until=Now() - Value(LEASE))


# In the jail.


@pytest.mark.parametrize(
    ("start", "body"),
    [
        ("pass", "self.buy(notional=100, tag=' '.join({'a', 'b', 'c', 'd', 'e'}))"),
        ("import time; self.at = time.time()", "self.buy(notional=100 + self.at % 997)"),
        (
            "import datetime; self.at = datetime.datetime.now()",
            "self.buy(notional=9 + self.at.month + self.at.hour)",
        ),
    ],
    ids=["order of a set", "time.time()", "datetime.now()"],
)
def test_dependence_on_hash_seed_and_clock_is_caught_in_the_jail(start, body):
    verdict, level = check_in_jail(make_job(ORDERS_BY.format(start=start, body=body), n=30))
    assert verdict.failure is None
    assert verdict.name == "not_deterministic"
    assert verdict.difference.other_run == "again"
    assert verdict.difference.expected != verdict.difference.found
    assert level in ("full", "inner")


def test_an_honest_strategy_passes_in_the_jail_and_a_peek_is_caught():
    honest = ORDERS_BY.format(
        start="import random; self.r = random.random()", body="self.buy(notional=100 * self.r + 50)"
    )
    assert check_in_jail(make_job(honest, n=30))[0].name == "passed"
    verdict = check_in_jail(make_job(PEEK, n=30))[0]
    assert (verdict.name, verdict.failure) == ("looks_ahead", None)


def test_an_endless_loop_ends_the_check_with_the_name_of_the_limit():
    job = make_job(ORDERS_BY.format(start="pass", body="while True: pass"), n=30)
    verdict, _ = check_in_jail(replace(job, limits=replace(job.limits, run_wall_clock_s=1)))
    assert (verdict.name, verdict.failure.code) == ("failed", "time_limit")
    assert check_in_jail(job, max_s=1.0)[0].failure.code == "time_limit"


def test_a_check_that_must_stop_has_no_verdict():
    with pytest.raises(CheckStopped):
        check_in_jail(make_job(ORDERS_BY.format(start="pass", body="pass"), n=30), lambda: False)


# What it is made on.


def test_without_candles_made_up_ones_are_used(owner, hindsight_home):
    job, words = build_check_job(build_version(owner, "a = 'ETHUSDT'\n"))
    assert words == "BTCUSDT, ETHUSDT 15m, 2025-01-01 to 2025-01-21, made-up candles"
    bars = [symbol.bars for symbol in job.feed.symbols]
    assert [len(b) for b in bars] == [2000, 2000]
    assert (bars[0].open_ms == bars[1].open_ms).all()
    assert (bars[0].close != bars[1].close).any()
    assert job.limits.run_wall_clock_s == check_job.WALL_CLOCK_S


def test_held_candles_are_used_where_there_are_enough(owner, hindsight_home):
    build_candles(timeframe="15m", n_bars=96 * 31)
    job, words = build_check_job(build_version(owner))
    assert words == "BTCUSDT 15m, 2025-01-11 to 2025-02-01, candles of the exchange"
    assert len(job.feed.symbols[0].bars) == 2000
    assert (np.diff(job.feed.symbols[0].bars.open_ms) == 900_000).all()


def test_too_few_held_candles_are_not_used(owner, hindsight_home):
    build_candles(timeframe="15m", n_bars=500)
    assert build_check_job(build_version(owner))[1].endswith("made-up candles")


# The row and its life.


def test_every_version_gets_one_row_and_one_message(owner, hindsight_home, sent):
    first, second = build_version(owner), build_version(owner)
    assert dispatch_checks() == 1
    assert VersionCheck.objects.count() == 2
    assert dispatch_checks() == 0  # one at a time
    assert len(sent) == 1
    assert sent[0][0] == version_checks.TASK
    assert sent[0][1] in {str(first.pk), str(second.pk)}


def test_no_check_starts_while_a_run_waits_or_all_workers_are_busy(owner, check, sent, settings):
    settings.N_WORKERS = 1
    run = build_run(owner)
    assert dispatch_checks() == 0
    type(run).objects.claim(run.pk)
    assert dispatch_checks() == 0
    assert not sent


def test_a_check_gives_its_worker_to_a_run_that_waits(owner, check):
    claimed = VersionCheck.objects.claim(check.pk)
    turn = version_checks.Turn(claimed)
    assert turn.go_on()
    build_run(owner)
    turn._next_look_at = 0.0
    assert not turn.go_on()
    assert turn.stop_reason == "a run waits"


def test_the_verdict_is_kept_with_what_it_was_made_on(check, verdict_is):
    difference = Difference("other_future", 1, "buy 1 units", "", 2)
    verdict_is(Verdict("looks_ahead", 2000, 3, 2, difference))
    tasks.check_version(str(check.pk))
    check.refresh_from_db()
    assert (check.status, check.jail_level) == ("looks_ahead", "full")
    assert check.verdict["difference"]["expected"] == "buy 1 units"
    assert check.verdict["data"].endswith("made-up candles")
    assert check.verdict["seconds"] >= 0
    assert check.checked_at is not None


def test_a_second_message_changes_nothing(check, verdict_is):
    verdict_is(Verdict("passed", 2000, 3, 9))
    tasks.check_version(str(check.pk))
    verdict_is(Verdict("no_orders", 2000))
    tasks.check_version(str(check.pk))
    assert VersionCheck.objects.get().status == "passed"


def test_a_check_whose_worker_was_killed_is_made_again_and_leaves_one_row(check, sent, verdict_is):
    killed = VersionCheck.objects.claim(check.pk)
    assert dispatch_checks() == 0  # its lease still runs
    expire(check)
    assert dispatch_checks() == 2  # lost, and sent
    verdict_is(Verdict("passed", 2000, 3, 9))
    tasks.check_version(sent[0][1])
    assert not killed.finish("no_orders", {})
    assert [row.status for row in VersionCheck.objects.all()] == ["passed"]
    assert VersionCheck.objects.get().n_lost == 1


def test_what_kills_every_worker_fails_after_the_third(check, sent):
    for _ in range(MAX_LOST):
        assert VersionCheck.objects.claim(check.pk) is not None
        expire(check)
        dispatch_checks()
    check.refresh_from_db()
    assert (check.status, check.verdict["failure"]["code"]) == ("failed", "lost")


def test_a_stopped_check_is_made_later_and_counts_as_no_loss(check, verdict_is):
    verdict_is(CheckStopped())
    tasks.check_version(str(check.pk))
    check.refresh_from_db()
    assert (check.status, check.n_lost) == ("pending", 0)


def test_a_killed_child_is_a_loss_and_an_error_of_ours_ends_it(check, verdict_is):
    verdict_is(Verdict("failed", 9, failure=Failure("killed", "by SIGKILL")))
    tasks.check_version(str(check.pk))
    check.refresh_from_db()
    assert (check.status, check.n_lost) == ("pending", 1)
    verdict_is(RuntimeError("a secret path"))
    tasks.check_version(str(check.pk))
    check.refresh_from_db()
    assert check.status == "failed"
    assert "secret" not in str(check.verdict)


def test_the_queues_own_time_limit_ends_it(check, monkeypatch):
    def stop(*_, **__):
        raise SystemExit

    monkeypatch.setattr(version_checks, "check_in_jail", stop)
    with pytest.raises(SystemExit):
        make_check(VersionCheck.objects.claim(check.pk))
    assert VersionCheck.objects.get().verdict["failure"]["code"] == "time_limit"


def test_only_finished_checks_are_made_again_on_request(check, verdict_is):
    assert VersionCheck.objects.request_again() == 0
    VersionCheck.objects.update(n_lost=F("n_lost") + 1)
    verdict_is(Verdict("passed", 2000, 3, 9))
    tasks.check_version(str(check.pk))
    assert VersionCheck.objects.request_again() == 1
    check.refresh_from_db()
    assert (check.status, check.verdict, check.n_lost) == ("pending", {}, 0)
