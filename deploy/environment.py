"""Builds .venv from the locked, hashed requirements; does nothing when it is up to date."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from checkout import (
    LOCK_FILE,
    ROOT,
    VENV,
    VENV_PYTHON,
    Refusal,
    digest_of,
    find_home,
    home_environment,
    make_folder,
    run_python,
    say,
)
from interpreters import find_interpreter, probe

PIP_OPTIONS = [
    "--disable-pip-version-check",
    "--retries",
    "2",
    "--no-deps",
    "--require-hashes",
    "--no-compile",
    "--only-binary",
    ":all:",
]
NETWORK_WORDS = (
    "NewConnectionError",
    "NameResolutionError",
    "name resolution",
    "ProxyError",
    "ConnectTimeout",
    "Network is unreachable",
    "Connection refused",
    "timed out",
)


def ensure_environment(folder: Path = VENV, lock_file: Path = LOCK_FILE) -> None:
    """Make the environment in `folder` (.venv) hold exactly what its lock file names."""
    python = probe(str(folder / "bin" / "python"))
    if python is None or not python.is_fitting:
        make_environment(folder)
        python = probe(str(folder / "bin" / "python"))
    wanted = digest_of([lock_file], python.name if python else "")
    stamp = folder / ".installed"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    stamp.unlink(missing_ok=True)
    install_requirements(folder, lock_file)
    stamp.write_text(wanted)


def make_environment(folder: Path) -> None:
    """With the checkout's own Python where there is one (other environments), else with the first that fits."""
    make_folder(folder.parent, "The folder of the environment")
    python = find_interpreter(None if folder == VENV else [str(VENV_PYTHON)])
    say(f"Making the environment {folder.name} with {python.name} ({python.executable})")
    done = subprocess.run(
        [python.executable, "-m", "venv", "--clear", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode != 0:
        sys.stderr.buffer.write(done.stdout)
        raise Refusal(f"{python.name} could not make the environment {folder}; the reason stands above.")


def install_requirements(folder: Path, lock_file: Path) -> None:
    say(f"Installing the packages of {lock_file.relative_to(ROOT)} (the first time this takes some minutes)")
    log = folder / "install.log"
    env = home_environment(find_home())
    options = [*PIP_OPTIONS, "-r", str(lock_file)]
    done = run_python(["-m", "pip", "--python", str(folder / "bin" / "python"), "install", *options], env, quiet=True)
    log.write_text(done.stdout)
    if done.returncode != 0:
        if any(word in done.stdout for word in NETWORK_WORDS):
            raise Refusal(
                "The packages could not be fetched: check the network (or pip's index settings) and run this again;"
                f" pip's own words are in {log}."
            )
        sys.stderr.write("\n".join(done.stdout.splitlines()[-5:]) + "\n")
        raise Refusal(f"The packages could not be installed: the last lines stand above, all of them in {log}.")
    # Once, on all cores, instead of at every process's first import.
    run_python(["-m", "compileall", "-q", "-j", "0", str(folder / "lib")], env, quiet=True)
