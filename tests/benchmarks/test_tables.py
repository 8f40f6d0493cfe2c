"""The printed table, its Markdown, the goals and peers.json say what was measured."""

import json

import pytest

from benchmarks import compare
from benchmarks.agreement import compare_all
from benchmarks.compare import Race, report, write_results
from benchmarks.jobs import BACKTESTING, CALLBACK, CALLBACK_AT_CLOSE, FLOOR, TARGETS, VECTORBT, W2, W3, W4, Job
from benchmarks.race import EngineFailed, Measurement
from benchmarks.tables import HEADINGS, describe_machine, goals_of, markdown_table, rows_of, text_table


def measured(work, entrant, cpu_s, rss_mb=100.0, first_cpu_s=0.2):
    return Measurement(Job(work, entrant), "1.2", first_cpu_s, (cpu_s,), rss_mb, 3, 10.0)


W2_ROWS = [measured(W2, CALLBACK, 0.2), measured(W2, BACKTESTING, 3.0), measured(W2, VECTORBT, 0.1)]


def test_a_peers_ratio_is_to_our_row_of_its_kind():
    rows = [dict(zip(HEADINGS, row, strict=True)) for row in rows_of([*W2_ROWS, measured(W2, TARGETS, 0.02)])]
    ratios = {(row["engine"], row["api"]): row["x ours"] for row in rows}
    assert ratios[("backtesting.py", "callback")] == "15.00"
    assert ratios[("vectorbt", "arrays")] == "5.00"
    assert ratios[("hindsight", "callback")] == ratios[("hindsight", "targets")] == ""


def test_a_ratio_is_left_out_where_ours_was_not_measured():
    assert rows_of([measured(W2, VECTORBT, 0.1)])[0][HEADINGS.index("x ours")] == ""


def test_only_sweeps_show_combinations_and_only_engines_show_results():
    rows = rows_of([measured(W4, TARGETS, 2.0), measured(W3, FLOOR, 0.05), measured(W3, CALLBACK_AT_CLOSE, 0.1)])
    assert [row[-1] for row in rows] == ["500", ""]
    assert rows[1][HEADINGS.index("final equity")] == ""


def test_text_and_markdown_hold_the_same_cells():
    rows = rows_of(W2_ROWS)
    text, markdown = text_table(rows).splitlines(), markdown_table(HEADINGS, rows, 5).splitlines()
    assert len(text) == len(rows) + 1
    assert len(markdown) == len(rows) + 2
    assert [cell.strip() for cell in markdown[2].strip("|").split("|")] == list(rows[0])
    assert text[1].split() == [cell for cell in rows[0] if cell]


def test_goals_tell_met_from_missed_and_from_not_measured():
    goals = {goal.title: goal for goal in goals_of([*W2_ROWS, measured(W2, TARGETS, 0.05, rss_mb=500.0)])}
    assert goals["W2 callback against backtesting.py"].to_row()[2:] == ("15.00 x", "met")
    assert goals["W2 targets against vectorbt"].to_row()[2:] == ("2.00 x", "missed")
    assert goals["W4 sweep against vectorbt"].to_row()[2:] == ("not measured", "")
    assert goals["a year of 1m, peak memory"].to_row()[2:] == ("500.00 MB", "missed")


def test_compiling_in_a_users_first_run_misses_a_goal():
    title = "first run after set-up against the second, a process each"
    reached = {goal.title: goal.is_met for goal in goals_of(W2_ROWS, [26.0, 1.3])}
    assert not reached[title]
    assert {goal.title: goal.is_met for goal in goals_of(W2_ROWS, [1.4, 1.3])}[title]


def test_the_floor_bounds_our_callback_from_above():
    goals = {goal.title: goal for goal in goals_of([measured(W3, CALLBACK, 0.2), measured(W3, FLOOR, 0.1)])}
    assert goals["W3 callback against the empty loop"].is_met


def test_peers_json_holds_engines_and_timed_runs_only(tmp_path):
    measurements = [*W2_ROWS, measured(W3, FLOOR, 0.05), measured(W3, CALLBACK_AT_CLOSE, 0.1)]
    rows = json.loads(write_results(measurements, tmp_path).read_text())
    assert [(row["engine"], row["api"]) for row in rows] == [
        ("hindsight", "callback"),
        ("backtesting.py", "callback"),
        ("vectorbt", "arrays"),
    ]


def test_the_report_dates_the_run_and_names_the_machine():
    text = report(Race(W2_ROWS, [1.0, 0.9]), compare_all(W2_ROWS))
    assert describe_machine().split(",")[0] in text
    assert "| W2 | backtesting.py | 1.2 |" in text
    assert "agree: 3 trades, 10.00." in text


@pytest.fixture
def run(tmp_path, monkeypatch):
    """bench-peers with engines that answer at once."""
    monkeypatch.setenv("HINDSIGHT_HOME", str(tmp_path))

    def with_results(equities):
        def measure_in_turn(jobs, files, folder, n_rounds):
            assert all(files[job.name].is_file() for job in jobs)
            return [
                Measurement(job, "1", 1.0, (1.0,) * n_rounds, 1.0, 3, equities.get(job.entrant, 10.0)) for job in jobs
            ]

        monkeypatch.setattr(compare, "measure_in_turn", measure_in_turn)
        monkeypatch.setattr(compare, "cpu_of_fresh_process", lambda *_: 1.0)
        return compare.main(["W1", "--rounds", "2"])

    return with_results


def test_a_run_in_which_all_agree_succeeds_and_writes_its_rows(run, tmp_path, capsys):
    assert run({}) == 0
    rows = json.loads((tmp_path / "bench" / "peers.json").read_text())
    assert {row["work"] for row in rows} == {"W1"}
    assert "| W1 | hindsight |" in capsys.readouterr().out


def test_a_disagreement_fails_the_run_after_printing_it(run, capsys):
    assert run({VECTORBT: 11.0}) == 1
    assert "DIFFER: 3 trades, 10.0000 against 3 trades, 11.00" in capsys.readouterr().out


def test_an_engine_that_fails_is_one_message(tmp_path, monkeypatch, capsys):
    def fail(*_):
        raise EngineFailed("W1-vectorbt gave no answer")

    monkeypatch.setenv("HINDSIGHT_HOME", str(tmp_path))
    monkeypatch.setattr(compare, "cpu_of_fresh_process", fail)
    assert compare.main(["W1"]) == 1
    assert "W1-vectorbt gave no answer" in capsys.readouterr().err


def test_unknown_work_is_named(capsys):
    with pytest.raises(SystemExit):
        compare.main(["W9"])
    assert "there is no work W9" in capsys.readouterr().err
