"""Engines run in processes of their own, in turn, and a wrong one is never measured silently."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks import race
from benchmarks.jobs import CALLBACK, FLOOR, VECTORBT, W1, Entrant, Job
from benchmarks.race import EngineFailed, EngineProcess, environment_of, python_of, summarise
from benchmarks.series import make_bars, write_series

ANSWER = {"version": "1", "cpu_s": 0.5, "rss_mb": 100.0, "n_trades": 3, "final_equity": 10.0}


def test_the_first_run_is_kept_apart_from_the_median():
    answers = [{**ANSWER, "cpu_s": cpu_s, "rss_mb": cpu_s} for cpu_s in (9.0, 0.1, 0.5, 0.2)]
    measured = summarise(Job(W1, CALLBACK), answers)
    assert (measured.first_cpu_s, measured.median_cpu_s, measured.rss_mb) == (9.0, 0.2, 9.0)


def test_a_ratio_is_taken_round_by_round():
    """In the last rounds the machine was three times as slow for both: no reason for another ratio."""
    ours, theirs = (
        summarise(Job(W1, CALLBACK), [{**ANSWER, "cpu_s": cpu_s} for cpu_s in all_cpu_s])
        for all_cpu_s in ((9.0, 1.0, 1.0, 3.0, 3.0, 3.0), (7.0, 4.0, 5.0, 15.0, 15.0, 1.0))
    )
    assert theirs.ratio_to(ours) == 5.0
    assert theirs.median_cpu_s / ours.median_cpu_s != 5.0


def test_a_ratio_without_rounds_is_that_of_the_first_runs():
    ours, theirs = (summarise(Job(W1, CALLBACK), [{**ANSWER, "cpu_s": cpu_s}]) for cpu_s in (0.5, 2.0))
    assert theirs.ratio_to(ours) == 4.0


def test_an_engine_that_contradicts_itself_is_refused():
    with pytest.raises(EngineFailed, match="different results"):
        summarise(Job(W1, CALLBACK), [ANSWER, {**ANSWER, "final_equity": 10.01}])


def test_what_an_engine_says_beyond_the_table_is_kept():
    assert summarise(Job(W1, CALLBACK), [{**ANSWER, "n_skipped": 2}]).details == {"n_skipped": 2}


def test_a_row_of_peers_json_has_its_keys_and_plain_values():
    row = summarise(Job(W1, CALLBACK), [ANSWER, ANSWER]).to_row()
    assert json.loads(json.dumps(row)) == {
        "work": "W1",
        "engine": "hindsight",
        "version": "1",
        "api": "callback",
        "cpu_s": 0.5,
        "runs": 1,
        "first_cpu_s": 0.5,
        "rss_mb": 100.0,
        "n_bars": 44_640,
        "n_trades": 3,
        "final_equity": 10.0,
        "combinations": 1,
    }


def test_peers_run_in_their_own_environment_and_keep_what_they_compile_there(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    assert python_of(VECTORBT, tmp_path) == tmp_path / "vectorbt" / "bin" / "python"
    env = environment_of(VECTORBT, tmp_path)
    assert env["NUMBA_CACHE_DIR"] == str(tmp_path / "vectorbt" / "compiled")
    assert "PYTHONPATH" not in env


def test_a_process_answers_each_run_with_a_row(tmp_path):
    file = tmp_path / "job.json"
    job = Job(W1, FLOOR)
    series = tmp_path / "series.npy"
    write_series(make_bars(100), series)
    file.write_text(json.dumps(job.to_json(series, 0.0)))
    with EngineProcess(job, file, tmp_path) as process:
        first, second = process.run(), process.run()
    assert first.keys() == second.keys() == ANSWER.keys()
    assert second["rss_mb"] >= first["rss_mb"] > 10


def test_an_engine_that_ends_is_named_with_its_last_words(tmp_path):
    job = Job(W1, Entrant("hindsight", "callback", "close", "no_such_module"))
    with EngineProcess(job, tmp_path / "none.json", tmp_path) as process, pytest.raises(EngineFailed) as caught:
        process.run()
    assert "W1-hindsight-callback-close" in str(caught.value)
    assert "no_such_module" in str(caught.value)


def test_an_engine_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(race, "PATIENCE_S", 0.05)
    job = Job(W1, FLOOR)
    with EngineProcess(job, tmp_path / "none.json", tmp_path) as process, pytest.raises(EngineFailed):
        process.run()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process on a core")
def test_an_engine_stays_on_one_core():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        race.keep_on_one_core(process.pid)
        assert os.sched_getaffinity(process.pid) == {max(os.sched_getaffinity(0))}
    race.keep_on_one_core(process.pid)  # one that has ended is let be
