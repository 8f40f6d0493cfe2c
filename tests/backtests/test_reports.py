import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from backtests.artifacts import ArtifactError, folder_of, load_table
from backtests.reports import load_bars, load_report
from backtests.run_report import RECORD_TABLES, RunReport
from tests.backtests.finished_runs import build_finished_run
from tests.builders import build_candles, build_run


@pytest.fixture
def finished(owner, hindsight_home):
    build_candles()
    return build_finished_run(owner)


def test_a_stored_report_reads_back_as_it_was(finished):
    report = load_report(finished)
    again = RunReport.from_facts(json.loads(json.dumps(report.to_facts())), report.tables)
    assert again.to_facts() == report.to_facts()
    assert again.request == report.request
    assert report.result_hash == finished.result_hash
    assert set(report.tables) >= {*RECORD_TABLES, "benchmark", "indicators", "points"}


def test_the_summary_of_row_and_report_is_one(finished):
    assert load_report(finished).summary() == finished.summary


def test_the_summary_holds_what_lists_and_command_show(finished):
    summary = finished.summary
    for name in ("n_bars", "n_fills", "n_trades", "n_orders_rejected", "final_equity", "metrics", "result_hash"):
        assert name in summary
    assert summary["n_bars"] == 744
    assert summary["n_orders_rejected"] == 2
    assert summary["metrics"]["final_equity"] == summary["final_equity"]


def test_bars_are_those_that_the_run_has_pinned(finished):
    bars = load_bars(load_report(finished))
    assert len(bars) == 744
    assert bars.open_ms[0] == finished.from_ms


def test_indicators_start_empty_and_plots_keep_their_points(finished):
    report = load_report(finished)
    assert [series.name for series in report.drawn] == ["sma(20)", "daily close"]
    column = report.tables["indicators"]["c0"]
    assert len(column) == 744
    assert np.isnan(column[:19]).all()
    assert len(report.tables["points"]) == 31


def test_warnings_are_told_once_and_in_words(finished):
    codes = [warning.code for warning in load_report(finished).warnings]
    assert "funding_not_held" in codes
    assert codes.count("orders_rejected") == 1


def test_versions_name_what_computed_the_result(finished):
    assert {"Hindsight", "python", "numpy", "numba"} <= set(load_report(finished).versions)


def test_a_result_of_an_older_version_has_today_s_columns(finished, hindsight_home):
    folder = folder_of(finished.artifact_dir)
    orders, trades = load_table(folder, "orders"), load_table(folder, "trades")
    for name, later in (("orders", ["share", "good_for_bars"]), ("trades", ["is_ambiguous"])):
        table = pq.read_table(folder / f"{name}.parquet").drop_columns(later)
        pq.write_table(table, folder / f"{name}.parquet")
    tables = load_report(finished).tables
    assert tables["orders"].dtype.names == orders.dtype.names
    assert np.isnan(tables["orders"]["share"]).all()
    assert not tables["orders"]["good_for_bars"].any()
    assert not tables["trades"]["is_ambiguous"].any()
    assert tables["trades"]["pnl"].tolist() == trades["pnl"].tolist()


def test_another_format_is_refused(finished):
    facts = load_report(finished).to_facts() | {"format": 99}
    with pytest.raises(ValueError, match="format 99"):
        RunReport.from_facts(facts, {})


def test_files_that_are_not_there_are_an_artifact_error(owner, hindsight_home):
    with pytest.raises(ArtifactError):
        load_report(build_run(owner, "succeeded"))
