"""The probe of a worker's jail: it passes where the jail holds, and names what got through where a layer is missing."""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from backtests.runner import probe
from backtests.runner.corpus.judge import Judgement
from backtests.runner.jail.layers import can_give_users, find_lack, layers_of
from backtests.runner.probe import N_ATTACKS, probe_jail

CACHE = Path(os.environ["NUMBA_CACHE_DIR"])


def need(level):
    if lack := find_lack(level):
        pytest.skip(f"There is no level {level} here: {lack}")


@pytest.mark.parametrize("level", ["full", "inner"])
def test_the_jail_of_this_machine_holds(level):
    need(level)
    found = probe_jail(layers_of(level), CACHE)
    assert (found.level, found.fault) == (level, "")
    assert found.took_s > 0
    assert found.made_at


def test_a_layer_that_is_missing_is_found_out():
    need("inner")
    whole = layers_of("inner")
    for layer, attack in (("has_landlock", "read a file"), ("has_seccomp", "fork")):
        fault = probe_jail(replace(whole, **{layer: False}), CACHE).fault
        assert f"PWNED: {attack}" in fault


def test_without_a_jail_most_attacks_get_through():
    if not can_give_users():
        pytest.skip("Only root can give an attack a user of its own, beyond which it harms nothing.")
    fault = probe_jail(layers_of("none"), CACHE).fault
    assert fault.count("PWNED") >= 10
    assert probe._ATTACKS.count(": lambda:") + 2 == N_ATTACKS  # two have functions of their own


def test_what_was_found_holds_until_the_machine_changes(tmp_path, monkeypatch):
    runs = []
    monkeypatch.setattr(probe, "_attack", lambda layers, cache_dir: runs.append(layers) or "")
    first = probe_jail(layers_of("inner"), CACHE, memory=tmp_path)
    assert probe_jail(layers_of("inner"), CACHE, memory=tmp_path) == first
    assert len(runs) == 1
    probe_jail(layers_of("full"), CACHE, memory=tmp_path)
    monkeypatch.setattr(probe, "_describe_machine", lambda layers: "another kernel")
    probe_jail(layers_of("full"), CACHE, memory=tmp_path)
    assert len(runs) == 3


def test_an_attacker_that_something_outside_killed_attacks_again(monkeypatch):
    need("inner")
    verdicts = [Judgement(None, "contained", "failed (killed)", "failed", "killed")] * 2
    verdicts.append(Judgement(None, "contained", "succeeded", "succeeded", ""))
    monkeypatch.setattr(probe.CorpusRunner, "run", lambda *_, **__: SimpleNamespace(judgements=[verdicts.pop(0)]))
    assert probe_jail(layers_of("inner"), CACHE).fault == ""
    assert verdicts == []


def test_a_fault_is_never_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr(probe, "_attack", lambda layers, cache_dir: "PWNED: fork")
    assert probe_jail(layers_of("inner"), CACHE, memory=tmp_path).fault
    assert list(tmp_path.iterdir()) == []
