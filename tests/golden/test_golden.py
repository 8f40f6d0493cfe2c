"""Accepted results stay what they were. A wanted change: make golden, then make golden-accept CASE=... REASON=..."""

import pytest

from tests.golden.cases import case_names, differences, load_case, run_case


@pytest.mark.parametrize("name", case_names())
def test_result_is_as_accepted(name):
    case = load_case(name)
    assert case.expected, f"never accepted: make golden-accept CASE={name} REASON=..."
    assert differences(case.expected, run_case(case)) == []


def test_differences_compare_metrics_by_tolerance_and_all_else_exactly():
    old = {"final_equity": 1.0, "metrics": {"sharpe_ratio": 1.0, "win_rate": None}}
    assert differences(old, {"final_equity": 1.0, "metrics": {"sharpe_ratio": 1.0 + 1e-12, "win_rate": None}}) == []
    assert differences(old, {"final_equity": 1.0 + 1e-12, "metrics": old["metrics"]})
    assert differences(old, {"final_equity": 1.0, "metrics": {"sharpe_ratio": 1.1, "win_rate": None}}) == [
        "metrics.sharpe_ratio: 1.0 -> 1.1"
    ]
    assert differences({}, old)
