"""Attacks on the jail, judged from outside: contained with it, biting without it, and each layer is needed.

All cases at both levels take minutes; `manage.py jail_corpus` runs them. Here the own corpus is shared out between the
levels, so that every case runs once, and the one that was handed to us runs where it is.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from backtests.runner.corpus.cases import Case, CorpusError, read_cases
from backtests.runner.corpus.run import CorpusRunner
from backtests.runner.jail.compiling import warm_up
from backtests.runner.jail.layers import can_give_users, find_lack, layers_of

OWN = Path(__file__).parent / "corpus.jsonl"
GIVEN = Path(__file__).resolve().parents[3] / "shared" / "jail" / "corpus.jsonl"
CACHE = Path(os.environ["NUMBA_CACHE_DIR"])
LEVELS = ("full", "inner")

# Those that leave nothing behind, and that end nothing but what they are aimed at.
HARMLESS = (
    *("own-file-read-bytes", "own-file-scandir", "own-file-rename", "own-file-unlink", "own-process-fork"),
    *("own-process-kill-victim", "own-memory-process-vm-writev", "own-memory-proc-mem", "own-network-unix-file"),
    *("own-network-datagram-connect", "own-network-socketpair"),
)


def run(layers, cases, *, with_control=True):
    return CorpusRunner(layers, CACHE).run(cases, with_control=with_control)


def all_escape(layers, cases):
    """Whether each of them gets through; that they do shows that they ran."""
    return escaped(run(layers, cases, with_control=False)).keys() == {case.id for case in cases}


def chosen(*ids):
    return [case for case in read_cases(OWN) if case.id in ids]


def need(level):
    if lack := find_lack(level):
        pytest.skip(f"There is no level {level} here: {lack}")


def escaped(report):
    return {found.case.id: found.why for found in report.judgements if found.verdict == "escaped"}


def test_the_own_corpus_is_large_and_its_cases_have_names_of_their_own():
    cases = read_cases(OWN)
    assert len(cases) >= 80
    assert len({case.id for case in cases}) == len({case.code for case in cases}) == len(cases)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_the_own_corpus_is_contained(level):
    need(level)
    report = run(layers_of(level), read_cases(OWN)[LEVELS.index(level) :: 2])
    assert escaped(report) == {}
    assert report.worker_faults == ()
    assert report.count("not applicable") == 0


@pytest.mark.slow
def test_the_given_corpus_is_contained():
    if not GIVEN.is_file():
        pytest.skip(f"There is no {GIVEN}")
    level = "full" if not find_lack("full") else "inner"
    need(level)
    report = run(layers_of(level), read_cases(GIVEN))
    assert escaped(report) == {}
    assert report.count("not applicable") == 0


def test_without_a_jail_the_attacks_bite():
    if not can_give_users():
        pytest.skip("Only root can give an attack a user of its own, beyond which it harms nothing.")
    assert all_escape(layers_of("none"), chosen(*HARMLESS))


STAT = Case(
    "stat",
    "files",
    "import os\nclass S(Strategy):\n    def initialize(self):\n"
    "        self.log('PWNED %d' % os.stat('@CANARY@/db2').st_size)\n",
    "nopwn",
    True,
    "",
)


@pytest.mark.parametrize(
    ("layer", "ids"),
    [
        ("has_landlock", {"own-file-read-bytes", "own-file-scandir"}),
        ("has_seccomp", {"own-process-fork", "own-network-socketpair", "own-network-datagram-connect"}),
    ],
)
def test_each_inner_layer_is_needed(layer, ids):
    need("inner")
    whole = layers_of("inner")
    assert all_escape(replace(whole, **{layer: False}), chosen(*ids))


UNLIMITED = {
    "memory": "self.kept = np.ones(800 * 2**17)",
    "descriptors": "self.kept = [os.dup(1) for _ in range(100)]",
    "threads": "[threading.Thread(target=time.sleep, args=(30,), daemon=True).start() for _ in range(40)]",
}


def take(what):
    """A strategy that takes more of something than the limits allow, and says so."""
    start = "import os, threading, time\nimport numpy as np\nclass S(Strategy):\n    def initialize(self):\n"
    return Case(
        what, "limits", f"{start}        {UNLIMITED[what]}\n        self.log('PWNED {what}')\n", "nopwn", True, ""
    )


def test_the_limits_are_needed():
    need("inner")
    cases = [take(what) for what in UNLIMITED]
    whole = layers_of("inner")
    assert escaped(run(whole, cases)) == {}
    assert all_escape(replace(whole, has_limits=False), cases)


def test_compiled_kernels_are_what_they_were():
    """Seen from outside, too: no strategy adds, changes or removes a file of the cache."""

    def look():
        found = (
            path.lstat() for path in sorted(CACHE.rglob("*")) if path.is_file() and path.suffix in {".nbi", ".nbc"}
        )
        return [(facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_mode) for facts in found]

    warm_up(CACHE)
    before = look()
    for level in LEVELS:
        if find_lack(level):
            continue
        cases = chosen("own-cross-cache", "own-cross-cache-change", "own-works-njit")
        assert escaped(run(layers_of(level), cases)) == {}
    assert before
    assert look() == before


def test_bubblewrap_hides_even_that_files_are_there():
    need("full")
    assert escaped(run(layers_of("full"), [STAT])) == {}
    assert all_escape(layers_of("inner"), [STAT])


def test_a_strategy_that_never_ran_counts_as_nothing():
    need("inner")
    empty = Case("empty", "files", "x = 1\ny = ]\n", "nopwn", False, "")
    (found,) = run(layers_of("inner"), [empty]).judgements
    assert found.verdict == "not applicable"


@pytest.mark.parametrize("text", ["", "nonsense", '{"id": "x"}', "[]"])
def test_a_file_that_is_no_corpus_is_named_so(tmp_path, text):
    file = tmp_path / "corpus.jsonl"
    file.write_text(text)
    with pytest.raises(CorpusError):
        read_cases(file)
