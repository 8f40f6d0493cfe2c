"""`make bench-peers`: the same work on the same bars by us and by the peers, each in a process of its own, in turn.

Ratios compare measurements of one run. Seconds say something about this machine only. Exit code 1: a result that must
agree with a peer's does not, or an engine failed. A missed goal is printed, and is no failure.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.agreement import Finding, compare_all
from benchmarks.jobs import FLOOR, WORKS, Job, Work, jobs_of
from benchmarks.race import ENVIRONMENTS, ROOT, EngineFailed, Measurement, cpu_of_fresh_process, measure_in_turn
from benchmarks.series import YEAR, find_level, make_bars, write_series
from benchmarks.tables import (
    GOAL_HEADINGS,
    HEADINGS,
    LEFT_COLUMNS,
    describe_machine,
    goals_of,
    markdown_table,
    rows_of,
    text_table,
)

ROUNDS, SWEEP_ROUNDS = 11, 7
MARKDOWN_START = "<!-- what `make bench-peers` printed -->"


def find_folder() -> Path:
    """Where the peers' environments, the series and the results lie."""
    return Path(os.environ.get("HINDSIGHT_HOME") or ROOT / "var").absolute() / "bench"


def write_jobs(jobs: Sequence[Job], folder: Path) -> dict[str, Path]:
    """The series of the jobs, and a file per job that the engine's process reads; by the name of the job."""
    bars = make_bars(YEAR)
    level = find_level(bars)
    series = {n: folder / f"series-{n}.npy" for n in {job.work.n_bars for job in jobs}}
    for n, file in series.items():
        write_series(make_bars(n), file)
    files = {}
    (folder / "jobs").mkdir(parents=True, exist_ok=True)
    for job in jobs:
        files[job.name] = folder / "jobs" / f"{job.name}.json"
        files[job.name].write_text(json.dumps(job.to_json(series[job.work.n_bars], level)))
    return files


@dataclass(frozen=True)
class Race:
    """What was measured: every job, and two whole processes of ours, one after the other, right after the set-up."""

    measurements: Sequence[Measurement]
    fresh_s: Sequence[float]


def measure(works: Sequence[Work], folder: Path, n_rounds: int | None) -> Race:
    for name in ENVIRONMENTS.values():  # so that a peer's first run shows what its compiler costs
        shutil.rmtree(folder / name / "compiled", ignore_errors=True)
    files = write_jobs([job for work in works for job in jobs_of(work)], folder)
    ours = jobs_of(works[0])[0]
    fresh_s = [cpu_of_fresh_process(ours, files[ours.name], folder) for _ in range(2)]
    measurements = []
    for work in works:
        print(f"{work.name}  {work.title} ({work.n_bars:,} bars)", file=sys.stderr, flush=True)
        rounds = n_rounds or (SWEEP_ROUNDS if work.pairs else ROUNDS)
        measurements += measure_in_turn(jobs_of(work), files, folder, rounds)
    return Race(measurements, fresh_s)


def write_results(measurements: Sequence[Measurement], folder: Path) -> Path:
    """peers.json: a list with a row per engine, interface and work; without the floor and the untimed runs."""
    rows = [m.to_row() for m in measurements if m.job.entrant.is_timed and m.job.entrant is not FLOOR]
    file = folder / "peers.json"
    file.write_text(json.dumps(rows, indent=1) + "\n")
    return file


def report(race: Race, findings: Sequence[Finding]) -> str:
    """The table for reading here, and the same as Markdown for docs/reference/benchmarks.md."""
    rows = rows_of(race.measurements)
    goals = [goal.to_row() for goal in goals_of(race.measurements, race.fresh_s)]
    lines = [text_table(rows), "", MARKDOWN_START, "", f"{datetime.now(UTC):%Y-%m-%d}, {describe_machine()}.", ""]
    lines += [markdown_table(HEADINGS, rows, LEFT_COLUMNS), "", markdown_table(GOAL_HEADINGS, goals, 4), ""]
    lines += [f"- {finding.text}." for finding in findings]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench-peers", description=__doc__)
    names = [work.name for work in WORKS]
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"only these of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, help=f"runs after the first ({ROUNDS}; of the sweep {SWEEP_ROUNDS})")
    options = parser.parse_args(arguments)
    if unknown := set(options.works) - set(names):
        parser.error(f"there is no work {', '.join(sorted(unknown))}")
    folder = find_folder()
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [work for work in WORKS if not options.works or work.name in options.works]
    try:
        race = measure(chosen, folder, options.rounds)
    except EngineFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    findings = compare_all(race.measurements)
    print(report(race, findings))
    print(f"\nRows: {write_results(race.measurements, folder)}", file=sys.stderr)
    return 0 if all(finding.is_agreed for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
