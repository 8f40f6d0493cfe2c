"""Accepting a result needs a name and a reason, and tells the users."""

import json

import pytest

from tests.golden import __main__ as golden
from tests.golden import cases

CHANGELOG = "# Changelog\n\n## Unreleased\n\n### Fixed\n\n### Results change\n\n## 0.1\n\n### Results change\n\n- old\n"


@pytest.fixture
def playground(tmp_path, monkeypatch):
    monkeypatch.setattr(cases, "FOLDER", tmp_path)
    monkeypatch.setattr(golden, "CHANGELOG", tmp_path / "CHANGELOG.md")
    monkeypatch.setattr(golden, "run_case", lambda case: {"n_fills": 2})
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "one.json").write_text(json.dumps({"why": "x", "expected": {"n_fills": 1}}))
    return tmp_path


def test_showing_differences_writes_nothing(playground, capsys):
    before = {path: path.read_text() for path in playground.iterdir()}
    assert golden.main(["diff"]) == 1
    assert "n_fills: 1 -> 2" in capsys.readouterr().out
    assert {path: path.read_text() for path in playground.iterdir()} == before


def test_accepting_writes_result_reason_and_changelog(playground):
    assert golden.main(["accept", "one", "Fees are charged on flips"]) == 0
    facts = json.loads((playground / "one.json").read_text())
    assert facts["expected"] == {"n_fills": 2}
    assert facts["accepted"][0]["reason"] == "Fees are charged on flips"
    newest = (playground / "CHANGELOG.md").read_text().split("## 0.1")[0]
    assert "- Fees are charged on flips (golden case `one`)" in newest.split("### Results change")[1]


@pytest.mark.parametrize("arguments", [["accept", "one", "because"], ["accept", "two", "A good reason here"], []])
def test_accepting_without_a_case_or_a_reason_is_refused(playground, arguments):
    assert golden.main(arguments) == 2
    assert json.loads((playground / "one.json").read_text())["expected"] == {"n_fills": 1}
