"""Builds .venv from the locked, hashed requirements; does nothing when it is up to date."""

from __future__ import annotations

import subprocess
import sys

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

STAMP = VENV / ".installed"
INSTALL_LOG = VENV / "install.log"
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


def ensure_environment() -> None:
    """Make .venv hold exactly what the lock file names."""
    python = probe(str(VENV_PYTHON))
    if python is None or not python.is_fitting:
        make_environment()
        python = probe(str(VENV_PYTHON))
    wanted = digest_of([LOCK_FILE], python.name if python else "")
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return
    install_requirements()
    STAMP.write_text(wanted)


def make_environment() -> None:
    make_folder(ROOT, "The checkout")
    python = find_interpreter()
    say(f"Making the environment .venv with {python.name} ({python.executable})")
    done = subprocess.run(
        [python.executable, "-m", "venv", "--clear", str(VENV)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode != 0:
        sys.stderr.buffer.write(done.stdout)
        raise Refusal(f"{python.name} could not make the environment {VENV}; the reason stands above.")


def install_requirements() -> None:
    say("Installing the locked packages (the first time this takes some minutes)")
    if STAMP.exists():
        STAMP.unlink()
    done = run_python(
        ["-m", "pip", "install", *PIP_OPTIONS, "-r", str(LOCK_FILE)], home_environment(find_home()), quiet=True
    )
    INSTALL_LOG.write_text(done.stdout)
    if done.returncode != 0:
        if any(word in done.stdout for word in NETWORK_WORDS):
            raise Refusal(
                "The packages could not be fetched: check the network (or pip's index settings) and run this again;"
                f" pip's own words are in {INSTALL_LOG}."
            )
        sys.stderr.write("\n".join(done.stdout.splitlines()[-5:]) + "\n")
        raise Refusal(f"The packages could not be installed: the last lines stand above, all of them in {INSTALL_LOG}.")
    # Once, on all cores, instead of at every process's first import.
    run_python(["-m", "compileall", "-q", "-j", "0", str(VENV / "lib")], home_environment(find_home()), quiet=True)
