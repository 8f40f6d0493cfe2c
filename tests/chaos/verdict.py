"""What a drill came to: runs that were lost, ended twice, ended wrongly, and what nobody owns."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field

from django.db import connection

from backtests import artifacts
from backtests.models import MAX_LOST, BacktestRun
from backtests.operations.housekeeping import sweep_artifacts
from tests.chaos.load import Load

TRIGGERS = {
    "sqlite": (
        """CREATE TRIGGER chaos_ends AFTER UPDATE OF status ON backtests_backtestrun
           WHEN NEW.status NOT IN ('queued', 'running') OR OLD.status NOT IN ('queued', 'running')
           BEGIN INSERT INTO chaos_end VALUES (NEW.id, NEW.status); END""",
    ),
    "postgresql": (
        """CREATE FUNCTION chaos_note() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN INSERT INTO chaos_end VALUES (NEW.id::text, NEW.status); RETURN NULL; END $$""",
        """CREATE TRIGGER chaos_ends AFTER UPDATE OF status ON backtests_backtestrun FOR EACH ROW
           WHEN (NEW.status NOT IN ('queued', 'running') OR OLD.status NOT IN ('queued', 'running'))
           EXECUTE FUNCTION chaos_note()""",
    ),
}


@dataclass
class Verdict:
    n_runs: int = 0
    attempts: Counter[int] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    given_up: int = 0

    @property
    def is_bad(self) -> bool:
        return bool(self.lost or self.doubled or self.wrong or self.orphans)


def note_ends() -> None:
    """Have the database itself write down every end of a run: a second one would show."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE chaos_end (run_id text NOT NULL, status text NOT NULL)")
        for statement in TRIGGERS[connection.vendor]:
            cursor.execute(statement)


def judge(load: Load) -> Verdict:
    verdict = Verdict()
    runs = list(BacktestRun.objects.select_related("strategy_version__strategy"))
    verdict.n_runs = len(runs)
    with connection.cursor() as cursor:
        cursor.execute("SELECT run_id FROM chaos_end")
        n_ends = Counter(run_id.replace("-", "") for (run_id,) in cursor.fetchall())
    verdict.lost += [f"{run_id} has no row" for run_id in load.requested - {str(run.pk) for run in runs}]
    for run in runs:
        verdict.statuses[run.status] += 1
        verdict.attempts[run.attempt] += 1
        if not run.is_finished:
            verdict.lost.append(f"{run.pk} is {run.status} {run.stage}, attempt {run.attempt}")
        elif n_ends[run.pk.hex] != 1:
            verdict.doubled.append(f"{run.pk} ended {n_ends[run.pk.hex]} times")
        elif problem := _find_problem(run, load):
            verdict.wrong.append(f"{run.pk} {problem}")
        verdict.given_up += is_given_up(run)
    verdict.orphans += _find_stray_folders(runs)
    return verdict


def is_given_up(run: BacktestRun) -> bool:
    """Whether it ended as promised to those whose worker or child was killed three times."""
    n_before = MAX_LOST - 1  # the last death of a child is the failure itself
    return run.n_lost >= MAX_LOST or (run.failure_code == "killed" and run.n_lost >= n_before)


def _find_problem(run: BacktestRun, load: Load) -> str:
    if run.status == "cancelled":
        return "" if str(run.pk) in load.cancelled or load.cancels_any else "was cancelled, and nobody asked for it"
    if run.status == "failed":
        return "" if is_given_up(run) or load.expects_failures else f"failed with {run.failure}"
    first_day = dt.datetime.fromtimestamp(run.from_ms / 1000, dt.UTC).date().isoformat()
    expected = load.expected.get((run.strategy_version.strategy.name, first_day))
    if expected and run.result_hash != expected:
        return "has another result than the undisturbed one"
    facts, _ = artifacts.load(artifacts.folder_of(run.artifact_dir))
    return "" if facts["result_hash"] == run.result_hash else "names files of another result"


def _find_stray_folders(runs: list[BacktestRun]) -> list[str]:
    sweep_artifacts(grace_s=0.0)
    named = {run.artifact_dir for run in runs}
    found = {f"{folder.parent.name}/{folder.name}" for folder in artifacts.root().glob("*/*/")}
    return [f"folder {name}" for name in found - named]
