"""Golden cases: a request, a strategy and a feed whose result was looked at once and must not change unnoticed."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backtests.engine.frames import SilentReporter
from backtests.engine.loop import run
from backtests.engine.metrics import compute_metrics
from backtests.engine.request import RunRequest
from backtests.engine.strategy import Session, load_strategy
from tests.golden.feeds import make_feed

FOLDER = Path(__file__).parent / "cases"
EXAMPLES = Path(__file__).resolve().parents[2] / "strategies" / "examples"
METRIC_TOLERANCE = 1e-9  # the hash covers every row exactly; metrics may use the platform's logarithms


@dataclass(frozen=True)
class Case:
    """One file of tests/golden/cases: `expected` is empty until the case was accepted for the first time."""

    name: str
    facts: Mapping[str, Any]

    @property
    def expected(self) -> Mapping[str, Any]:
        return self.facts.get("expected", {})


def file_of(name: str) -> Path:
    return FOLDER / f"{name}.json"


def load_case(name: str) -> Case:
    return Case(name, json.loads(file_of(name).read_text()))


def case_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def run_case(case: Case) -> dict[str, Any]:
    """The outcome of the case with today's code, in the form in which it is kept."""
    request = RunRequest.parse(case.facts["request"])
    feed = make_feed(request, case.facts["feed"])
    source = (EXAMPLES / f"{case.facts['strategy']}.py").read_text()
    reporter = SilentReporter()
    result = run(Session(load_strategy(source, dict(request.params)), reporter), request, feed, reporter)
    metrics = compute_metrics(result, request, *(symbol.bars for symbol in feed.symbols))
    return {
        "result_hash": result.result_hash(),
        "n_fills": len(result.fills),
        "n_trades": len(result.trades),
        "n_orders_rejected": result.n_orders_rejected,
        "n_liquidations": len(result.liquidations),
        "n_funding_payments": len(result.funding),
        "final_equity": result.final_equity,
        "metrics": {name: metric.value for name, metric in metrics.items()},
    }


def differences(expected: Mapping[str, Any], got: Mapping[str, Any], path: str = "") -> list[str]:
    """One line per value that differs; numbers under `metrics` by tolerance, everything else exactly."""
    lines = []
    for name in sorted({*expected, *got}):
        old, new = expected.get(name, "nothing"), got.get(name, "nothing")
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            lines += differences(old, new, f"{name}.")
        elif not is_same(old, new, is_exact=not path):
            lines.append(f"{path}{name}: {old} -> {new}")
    return lines


def is_same(old: object, new: object, *, is_exact: bool) -> bool:
    if not is_exact and isinstance(old, float | int) and isinstance(new, float | int):
        return math.isclose(old, new, rel_tol=METRIC_TOLERANCE, abs_tol=1e-12)
    return old == new
