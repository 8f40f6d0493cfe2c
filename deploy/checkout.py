"""Where things lie in this checkout, and how its own Python is started. Standard library only; parses on Python 3.8."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
LOCK_FILE = ROOT / "requirements" / "lock.txt"
END_S = 60.0  # how long what was started may take to clean up
PACKAGES = ("config", "accounts", "strategies", "marketdata", "backtests")


class Refusal(Exception):
    """Set-up cannot go on: one sentence that says what is wrong and what to do about it."""


def say(text: str) -> None:
    print(text, flush=True)


def find_home() -> Path:
    """The folder for everything mutable: HINDSIGHT_HOME, or var/ in the checkout."""
    word = os.environ.get("HINDSIGHT_HOME", "").strip()
    return Path(os.path.abspath(Path(word).expanduser())) if word else ROOT / "var"


def home_environment(home: Path, **more: str) -> dict[str, str]:
    """The environment in which the site's own commands run against `home`."""
    env = dict(os.environ, HINDSIGHT_HOME=str(home), NUMBA_CACHE_DIR=str(home / "cache" / "numba"))
    env.pop("PYTHONPATH", None)  # another project's modules must not shadow ours
    env.pop("PYTHONHOME", None)
    env["PYTHONUNBUFFERED"] = "1"
    env.update(more)
    return env


def run_python(
    arguments: Sequence[str], env: Mapping[str, str], *, quiet: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run the checkout's Python in its root. `quiet` keeps the output for the caller instead of showing it.

    When this process is asked to end, so is that one, and is waited for: it may have much to clean up.
    """
    process = subprocess.Popen(
        [str(VENV_PYTHON), *arguments],
        cwd=str(ROOT),
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
    )
    try:
        output, _ = process.communicate()
    except BaseException as why:
        if not isinstance(why, KeyboardInterrupt):  # a terminal tells both
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
        process.kill()
        process.wait()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, output)


def must_run(what: str, arguments: Sequence[str], env: Mapping[str, str], *, quiet: bool = True) -> str:
    """Run it and return its output; on failure show the output and raise Refusal("<what> failed ...")."""
    done = run_python(arguments, env, quiet=quiet)
    if done.returncode != 0:
        if done.stdout:
            sys.stderr.write(done.stdout)
        raise Refusal(f"{what} failed (exit code {done.returncode}); the reason stands above.")
    return done.stdout or ""


def make_folder(folder: Path, what: str) -> None:
    """Create `folder` and prove that it can be written. Raises Refusal in one sentence."""
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise Refusal(
            f"{what} {folder} cannot be written ({error.strerror}): choose another or change its rights."
        ) from None


def digest_of(paths: Iterable[Path], *texts: str) -> str:
    """SHA-256 over names and contents of files (folders: every file below), and over `texts`."""
    digest = hashlib.sha256()
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(os.path.relpath(str(file), str(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    for text in texts:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()
