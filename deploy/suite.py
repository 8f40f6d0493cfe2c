"""`make test`: the suite on SQLite, on PostgreSQL, and in a browser, with a plain account of what was left out."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from checkout import Refusal, home_environment, run_python, say
from chromium import INSTALL, ensure_chromium
from throwaway_postgres import throwaway_postgres

NO_TESTS_COLLECTED = 5


@dataclass
class Pass:
    """What one run of pytest came to."""

    title: str
    n_passed: int = 0
    n_failed: int = 0
    n_skipped: int = 0
    has_failed: bool = False
    skips: Counter[str] = field(default_factory=Counter)
    left_out: str = ""  # why the whole pass did not run


def run_suite(*, may_install: bool, is_ci: bool) -> int:
    """Run the three passes. Returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="hindsight-tests-") as folder:
        work = Path(folder)
        passes = [
            run_pass(work, "SQLite", ["-n", "2", "-m", "not e2e"]),
            postgres_pass(work, is_ci=is_ci),
            browser_pass(work, may_install=may_install),
        ]
    return summarise(passes)


def run_chosen(arguments: Sequence[str]) -> int:
    """Run only what `arguments` name (paths, -k, -x ...), on SQLite."""
    with tempfile.TemporaryDirectory(prefix="hindsight-tests-") as folder:
        return run_python(["-m", "pytest", *arguments], test_environment(Path(folder))).returncode


def test_environment(work: Path, **more: str) -> dict[str, str]:
    env = home_environment(work / "home", HINDSIGHT_SECRET_KEY="for tests only", **more)
    env["NUMBA_CACHE_DIR"] = str(
        Path(tempfile.gettempdir()) / f"hindsight-tests-numba-{os.getuid()}"
    )  # survives the run
    if "DATABASE_URL" not in more:
        env.pop("DATABASE_URL", None)
    return env


def run_pass(work: Path, title: str, arguments: Sequence[str], **more: str) -> Pass:
    say(f"\n=== Tests on {title}")
    report = work / f"{title}.xml"
    done = run_python(["-m", "pytest", "-q", f"--junitxml={report}", *arguments], test_environment(work, **more))
    outcome = Pass(title, has_failed=done.returncode != 0)
    if done.returncode == NO_TESTS_COLLECTED:
        outcome.left_out = "no tests were found, which is a failure"
    if report.is_file():
        read_report(report, outcome)
    return outcome


def read_report(report: Path, outcome: Pass) -> None:
    """Count what pytest wrote, and why it skipped what it skipped."""
    for case in ElementTree.parse(str(report)).getroot().iter("testcase"):
        kinds = {child.tag: child for child in case}
        if "failure" in kinds or "error" in kinds:
            outcome.n_failed += 1
        elif "skipped" in kinds:
            outcome.n_skipped += 1
            outcome.skips[kinds["skipped"].get("message", "no reason given")] += 1
        else:
            outcome.n_passed += 1


def postgres_pass(work: Path, *, is_ci: bool) -> Pass:
    try:
        with postgres_url() as url:
            return run_pass(work, "PostgreSQL", ["-n", "2", "-m", "not e2e", "--database-only"], DATABASE_URL=url)
    except Refusal as refusal:
        return Pass("PostgreSQL", has_failed=is_ci, left_out=str(refusal))


@contextlib.contextmanager
def postgres_url() -> Iterator[str]:
    given = os.environ.get("TEST_DATABASE_URL", "").strip()
    if given:
        yield given
        return
    with throwaway_postgres() as url:
        yield url


def browser_pass(work: Path, *, may_install: bool) -> Pass:
    title = "a browser"
    try:
        chromium = ensure_chromium(may_install=may_install)
    except Refusal as refusal:
        return Pass(title, has_failed=True, left_out=str(refusal))
    if chromium is None:
        return Pass(title, left_out=f"Chromium is not here: `make test INSTALL=1`, or as root: {INSTALL}")
    return run_pass(work, title, ["-m", "e2e", "tests/e2e"], HINDSIGHT_CHROMIUM=chromium)


def summarise(passes: Sequence[Pass]) -> int:
    say("\n" + "=" * shutil.get_terminal_size((100, 20)).columns)
    for outcome in passes:
        counts = f"{outcome.n_passed} passed, {outcome.n_failed} failed, {outcome.n_skipped} skipped"
        state = "FAILED" if outcome.has_failed else "left out" if outcome.left_out else "ok"
        say(f"{outcome.title:<12} {state:<9} {outcome.left_out or counts}")
        for reason, times in sorted(outcome.skips.items()):
            say(f"{'':<12} skipped {times}: {reason}")
    total = [sum(getattr(p, name) for p in passes) for name in ("n_passed", "n_failed", "n_skipped")]
    say(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if any(outcome.has_failed for outcome in passes) else 0
