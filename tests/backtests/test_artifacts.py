"""Result files: whole or not there, read back bit for bit, swept when nobody names them."""

import json
import uuid

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from backtests import artifacts
from backtests.engine.kernels.types import EQUITY, FILL, LIQUIDATION, ORDER, TRADE

RUN_ID = uuid.UUID("aaaaaaaa-0000-4000-8000-000000000001")
TOKEN = uuid.UUID("bbbbbbbb-0000-4000-8000-000000000002")

pytestmark = pytest.mark.usefixtures("hindsight_home")


def save(attempt=1, tables=None, facts=None):
    tables = {"equity": np.zeros(3, EQUITY)} if tables is None else tables
    return artifacts.save(RUN_ID, attempt, TOKEN, tables=tables, facts={"n_bars": 3} if facts is None else facts)


def everything_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("dtype", [ORDER, FILL, TRADE, EQUITY, LIQUIDATION])
@pytest.mark.parametrize("n_rows", [0, 1, 257])
def test_tables_come_back_bit_for_bit(dtype, n_rows):
    random = np.random.default_rng(1)
    rows = np.zeros(n_rows, dtype)
    for name in dtype.names:
        column = random.integers(-100, 100, n_rows)
        rows[name] = column if dtype[name].kind != "f" else np.where(column > 90, np.nan, column / 7)
    folder = artifacts.folder_of(save(tables={"rows": rows}))

    loaded = artifacts.load_table(folder, "rows")

    assert loaded.dtype == dtype
    assert loaded.tobytes() == rows.tobytes()


@settings(max_examples=25, deadline=None)
@given(column=arrays.arrays(np.float64, st.integers(0, 40)))
def test_any_float_survives(tmp_path_factory, column):
    folder = tmp_path_factory.mktemp("any")
    rows = np.zeros(len(column), [("value", "f8")])
    rows["value"] = column
    artifacts.write_files(folder, {"rows": rows}, {})
    np.testing.assert_array_equal(artifacts.load_table(folder, "rows")["value"], column)


def test_facts_come_back():
    facts = {"name": "Kreuzung ✓", "metrics": {"sharpe": None, "n": 3}, "log": ["a\nb"]}
    relative = save(facts=facts)
    loaded, tables = artifacts.load(artifacts.folder_of(relative))
    assert loaded == facts == artifacts.load_facts(artifacts.folder_of(relative))
    assert list(tables) == ["equity"]


def test_facts_with_nan_are_refused_and_leave_nothing_behind():
    with pytest.raises(ValueError, match="JSON"):
        save(facts={"sharpe": float("nan")})
    assert everything_below(artifacts.root() / str(RUN_ID)) == []


def test_a_full_disk_leaves_nothing_behind(monkeypatch):
    def refuse(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("backtests.artifacts.pq.write_table", refuse)
    with pytest.raises(artifacts.ArtifactError, match="No space left"):
        save()
    assert everything_below(artifacts.root() / str(RUN_ID)) == []


def test_each_attempt_has_a_folder_of_its_own():
    assert save(attempt=1) != save(attempt=2)


@pytest.mark.parametrize("relative", ["", "a", "../b", "a/..", "a/b/c", "/etc/passwd", "a/"])
def test_a_path_that_is_no_result_folder_is_refused(relative):
    with pytest.raises(artifacts.ArtifactError):
        artifacts.folder_of(relative)


@pytest.mark.parametrize("harm", ["report", "table", "garbage"])
def test_missing_and_damaged_files_are_told_apart_from_results(harm):
    folder = artifacts.folder_of(save())
    if harm == "report":
        (folder / "report.json").unlink()
    elif harm == "table":
        (folder / "equity.parquet").unlink()
    else:
        (folder / "equity.parquet").write_bytes(b"not parquet")
    with pytest.raises(artifacts.ArtifactError):
        artifacts.load(folder)


def test_the_report_names_its_tables():
    report = json.loads((artifacts.folder_of(save()) / "report.json").read_text())
    assert report["tables"]["equity"]["n_rows"] == 3


def test_deleting_an_attempt_spares_the_others_and_takes_the_last_ones_folder_along():
    first, second = save(attempt=1), save(attempt=2)
    artifacts.delete_attempt(first)
    assert artifacts.folder_of(second).is_dir()
    artifacts.delete_attempt(second)
    assert everything_below(artifacts.root()) == []
