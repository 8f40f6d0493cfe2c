"""The parts of the jail, one by one."""

import ctypes
import ctypes.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backtests.engine.confinement import calls, seccomp
from backtests.engine.confinement.limits import _probe_address_space, find_address_space
from backtests.runner.jail import layers, spare
from backtests.runner.jail.child import start_child
from backtests.runner.jail.layers import NoJail, choose_layers, find_lack, layers_of
from backtests.runner.jail.trees import trees_in_jail

CACHE = Path(os.environ["NUMBA_CACHE_DIR"])
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


@pytest.mark.parametrize("machine", calls.MACHINES)
def test_the_numbers_of_calls_are_those_of_libseccomp(machine):
    name = ctypes.util.find_library("seccomp")
    if name is None:
        pytest.skip("libseccomp is not installed.")
    resolve = ctypes.CDLL(name).seccomp_syscall_resolve_name_arch
    own = {**calls.ALLOWED, **calls.ALLOWED_AT_START}
    for call, numbers in own.items():
        number = numbers[calls.MACHINES.index(machine)]
        known = resolve(ctypes.c_uint32(ARCHITECTURES[machine]), call.encode())
        assert number == (known if known >= 0 else None), call


@pytest.mark.parametrize("machine", calls.MACHINES)
def test_the_filter_is_a_program_for_each_machine(machine, monkeypatch):
    monkeypatch.setattr(seccomp.platform, "machine", lambda: machine)
    for program in (seccomp.strategy_filter(), seccomp.outer_filter()):
        assert len(program) % 8 == 0
        assert len(program) // 8 < 4096


def test_forbidden_calls_are_in_no_list():
    forbidden = {"fork", "vfork", "socket", "connect", "kill", "tgkill", "ptrace", "memfd_create", "unlink", "rename"}
    assert not forbidden & {*calls.ALLOWED, *calls.ALLOWED_AT_START}
    assert not {"execve", "seccomp", "setresuid", "mkdir", "wait4"} & set(calls.ALLOWED)


def test_the_address_space_is_found_without_proc():
    assert abs(_probe_address_space() - find_address_space()) < 16 * 2**20


def test_the_jail_holds_nothing_of_the_site():
    sources = [tree.source for tree in trees_in_jail(CACHE).trees]
    project = str(Path(layers.__file__).parents[3])
    own = [source.removeprefix(f"{project}/") for source in sources if source.startswith(f"{project}/backtests")]
    assert own == ["backtests/__init__.py", "backtests/engine"]
    assert project not in sources


def test_a_machine_without_landlock_runs_no_strategy(monkeypatch):
    monkeypatch.setattr(layers, "_choose_layers", layers._choose_layers.__wrapped__)
    monkeypatch.setattr(layers, "find_lack", lambda level: "The kernel has no Landlock.")
    monkeypatch.delenv("HINDSIGHT_JAIL", raising=False)
    with pytest.raises(NoJail, match="Landlock"):
        choose_layers()


def test_a_worker_that_saw_its_jail_fail_runs_no_strategy(monkeypatch):
    monkeypatch.setattr(layers, "_condemned", [])
    layers.condemn("an attack got through")
    with pytest.raises(NoJail, match="an attack got through"):
        choose_layers()


@pytest.mark.parametrize("level", ["full", "inner"])
def test_a_waiting_child_has_one_thread_and_ends_when_its_parent_has_no_job(level):
    if lack := find_lack(level):
        pytest.skip(lack)
    child = start_child(layers_of(level), CACHE)
    try:
        while (pid := child.find_pid()) is None:
            time.sleep(0.01)
        assert os.listdir(f"/proc/{pid}/task") == [str(pid)]
        os.close(child._control)
        child._control = -1
        give_up_at = time.monotonic() + 60
        while child.is_alive() and time.monotonic() < give_up_at:
            time.sleep(0.05)
        assert not child.is_alive()
    finally:
        child.close()


def test_a_spare_is_used_once_and_only_for_the_same_jail():
    level = "inner"
    if lack := find_lack(level):
        pytest.skip(lack)
    spare.keep_spare(layers_of(level), CACHE)
    try:
        warm, is_warm = spare.take_child(layers_of(level), CACHE)
        cold, is_warm_again = spare.take_child(layers_of(level), CACHE)
        assert (is_warm, is_warm_again) == (True, False)
        assert warm.process.pid != cold.process.pid
        for child in (warm, cold):
            child.close()
        spare.replace_spare(layers_of(level), CACHE)
        other, is_warm = spare.take_child(layers_of("none"), CACHE)
        other.close()
        assert not is_warm
    finally:
        spare.drop_spare()


def test_settings_refuse_to_run_strategies_unguarded_outside_debug_mode(tmp_path):
    environment = {**os.environ, "HINDSIGHT_HOME": str(tmp_path), "HINDSIGHT_JAIL": "none"}
    environment.pop("HINDSIGHT_DEBUG", None)
    command = [sys.executable, "-c", "import config.settings"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=Path(layers.__file__).parents[3]
    )
    assert "HINDSIGHT_JAIL=none runs strategies unguarded" in done.stderr
