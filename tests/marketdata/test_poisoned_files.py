"""Poisoned files through the real command, in a process whose memory is measured."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from marketdata.models import FilterSet, Instrument, Segment, Series
from tests.marketdata.candle_makers import make_candles, to_csv, write_daily
from tests.marketdata.poison import POISONS, Poison

ROOT = Path(__file__).resolve().parents[2]
MAX_MB = 512
IS_LINUX = sys.platform == "linux"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not IS_LINUX, reason="memory and special files are looked at as Linux has them"),
]


@dataclass(frozen=True)
class Told:
    """What one run of the command said."""

    exit_code: int
    output: str
    peak_mb: float

    def refusals(self) -> list[dict[str, str]]:
        return json.loads(self.output)["refused"]


# The peak of this process alone: what `wait4` tells also counts the parent's at the time of the fork.
MEASURED = """\
import atexit, pathlib, re, runpy, sys
def write_peak():
    status = pathlib.Path("/proc/self/status").read_text()
    pathlib.Path(peak_file).write_text(re.search(r"VmHWM:\\s+([0-9]+) kB", status)[1])
peak_file = sys.argv.pop(1)
atexit.register(write_peak)
sys.argv[0] = "manage.py"
runpy.run_path("manage.py", run_name="__main__")
"""


def run_command(home: Path, *args: str) -> Told:
    """`manage.py ARGS` on a home of its own."""
    environment = {**os.environ, "HINDSIGHT_HOME": str(home), "HINDSIGHT_SECRET_KEY": "a key for tests only"}
    environment.pop("DATABASE_URL", None)
    peak = home / "peak.txt"
    command = [sys.executable, "-c", MEASURED, str(peak), *args]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return Told(done.returncode, done.stdout, int(peak.read_text()) / 1024)


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home that holds one good day."""
    home = tmp_path_factory.mktemp("home")
    assert run_command(home, "migrate", "-v0").exit_code == 0
    write_daily(home / "in", "2024-12-31", make_candles(24, first_ms=1_735_603_200_000))
    assert run_command(home, "import_candles", str(home / "in"), "--json").exit_code == 0
    return home


@pytest.fixture(scope="module")
def poisoned(home, tmp_path_factory):
    """One import of all poisoned files: what the command said, and the candle files before and after."""
    folder = tmp_path_factory.mktemp("poison")
    for i, poison in enumerate(POISONS):
        own = folder / f"{i:03}" / "futures" / "BTCUSDT" / "1h"
        own.mkdir(parents=True)
        poison.write(own)
    before = files_below(home / "candles"), run_command(home, "list_candles", "--json").output
    told = run_command(home, "import_candles", *map(str, sorted(folder.iterdir())), "--json")
    after = files_below(home / "candles"), run_command(home, "list_candles", "--json").output
    return told, before, after


def test_there_are_at_least_forty_kinds():
    assert len({poison.title for poison in POISONS}) == len(POISONS) >= 40
    assert len({poison.code for poison in POISONS}) >= 30


@pytest.mark.parametrize(("i", "poison"), list(enumerate(POISONS)), ids=[poison.title for poison in POISONS])
def test_a_poisoned_file_is_refused_with_its_code_and_a_sentence(poisoned, i: int, poison: Poison):
    refusals = poisoned[0].refusals()
    assert len(refusals) == len(POISONS)
    [refusal] = [refusal for refusal in refusals if f"/{i:03}/" in refusal["path"]]
    assert refusal["code"] == poison.code, refusal["message"]
    assert poison.says in refusal["message"]
    assert refusal["message"].isprintable()
    assert refusal["message"].startswith(refusal["name"])


def test_the_command_fails_and_nothing_is_published(poisoned):
    told, before, after = poisoned
    assert told.exit_code != 0
    assert before == after
    assert before[0]


def test_all_of_it_stays_below_the_memory_limit(poisoned):
    assert poisoned[0].peak_mb < MAX_MB


def test_a_good_import_works_afterwards(poisoned, home, tmp_path):
    path = write_daily(tmp_path, "2025-01-01", make_candles(24))
    told = run_command(home, "import_candles", str(path), "--json")
    assert (told.exit_code, json.loads(told.output)["n_rows"]) == (0, 24)


def test_two_years_of_minutes_in_one_file_stay_below_the_memory_limit(home, tmp_path):
    candles = make_candles(1_051_200, "1m", first_ms=1_609_459_200_000)
    rows = [
        f"{stamp},{price},{price + 9},{price - 9},{price},{volume}"
        for stamp, price, volume in zip(
            candles.open_ms.tolist(), candles.open.tolist(), candles.volume.tolist(), strict=True
        )
    ]
    path = tmp_path / "futures/LINKUSDT/1m/all.csv"
    path.parent.mkdir(parents=True)
    path.write_text("time,open,high,low,close,volume\n" + "\n".join(rows))
    told = run_command(home, "import_candles", str(path), "--json")
    assert (told.exit_code, json.loads(told.output)["n_rows"]) == (0, 1_051_200)
    assert told.peak_mb < MAX_MB


@pytest.mark.django_db
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, hindsight_home, monkeypatch):
    from marketdata.imports import import_paths

    path = write_daily(tmp_path, "2025-01-01", make_candles(24))
    real_fdopen = os.fdopen

    def grow(descriptor, *args, **kwargs):
        with path.open("a") as file:
            file.write(to_csv(make_candles(1)))
        return real_fdopen(descriptor, *args, **kwargs)

    monkeypatch.setattr("marketdata.ingest.packing.os.fdopen", grow)
    assert [refusal.code for refusal in import_paths([path]).refusals] == ["changed"]
    monkeypatch.undo()
    for model in (Instrument, FilterSet, Series, Segment):
        assert not model.objects.exists()
    assert files_below(hindsight_home / "candles") == {}
