"""Prepares HINDSIGHT_HOME: secret key, database, instruments, sample candles, compiled kernels, first account.

Each step leaves a stamp in HOME/setup and is skipped while its inputs stay the same, so that a second start takes
seconds. Deleting HOME/setup makes every step run again; all of them can.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from checkout import (
    LOCK_FILE,
    PACKAGES,
    ROOT,
    Refusal,
    digest_of,
    home_environment,
    make_folder,
    must_run,
    run_python,
    say,
)

FOLDERS = ("secrets", "setup", "candles", "artifacts", "cache")


@dataclass(frozen=True)
class Step:
    """One thing to do to a home: shown as `title`, done by the checkout's Python with `arguments`."""

    name: str
    title: str
    arguments: tuple[str, ...]
    inputs: tuple[Path, ...] = ()
    is_quiet: bool = True
    is_required: bool = True


def steps() -> Sequence[Step]:
    migrations = tuple(ROOT / package / "migrations" for package in PACKAGES[1:])
    engine = ROOT / "backtests" / "engine"
    return (
        Step("migrate", "Preparing the database", ("manage.py", "migrate", "--noinput"), (*migrations, LOCK_FILE)),
        Step(
            "instruments",
            "Loading the instruments' rules",
            ("manage.py", "load_instruments"),
            (ROOT / "marketdata" / "defaults",),
        ),
        Step("kernels", "Compiling the engine (once)", ("-m", "backtests.engine", "--warm"), (engine, LOCK_FILE)),
        Step(
            "sample",
            "Fetching sample candles",
            ("manage.py", "fetch_sample_candles"),
            is_quiet=False,
            is_required=False,
        ),
        Step("staff", "Creating the first staff account", ("manage.py", "create_first_staff"), is_quiet=False),
    )


def prepare_home(home: Path) -> None:
    """Bring `home` up to date. Raises Refusal when a required step fails."""
    make_folder(home, "HINDSIGHT_HOME")
    for name in FOLDERS:
        make_folder(home / name, "The folder")
    ensure_secret_key(home)
    ensure_assets(home)
    database_url = os.environ.get("DATABASE_URL", "").strip()
    if not database_url and not (home / "hindsight.sqlite3").exists():
        for stamp in (home / "setup").iterdir():
            stamp.unlink()  # a new database needs every step again
    for step in steps():
        do_step(step, home, database_url)


def ensure_kernels(home: Path) -> None:
    """Compile the engine for `home`, if it is not, as set-up does."""
    make_folder(home / "setup", "The folder")
    do_step(next(step for step in steps() if step.name == "kernels"), home, os.environ.get("DATABASE_URL", "").strip())


def do_step(step: Step, home: Path, database_url: str) -> None:
    stamp = home / "setup" / step.name
    wanted = digest_of(step.inputs, str(home), database_url, *step.arguments)
    # A server's database may have been replaced behind the stamp; migrating costs a second and is always safe.
    is_certain = not (database_url and step.name == "migrate")
    if is_certain and stamp.is_file() and stamp.read_text() == wanted:
        return
    say(step.title)
    env = home_environment(home)
    if step.is_required:
        must_run(step.title, step.arguments, env, quiet=step.is_quiet)
    elif run_python(step.arguments, env).returncode != 0:
        say(f"{step.title} failed; the site starts without, and the next start tries again.")
        return
    stamp.write_text(wanted)


def ensure_assets(home: Path, *options: str) -> None:
    """Bundle scripts and styles and collect them for the web server; the script keeps its own stamps."""
    if run_python(["deploy/build_assets.py", *options], home_environment(home)).returncode != 0:
        raise Refusal("The pages' scripts and styles could not be built; the reason stands above.")


def ensure_secret_key(home: Path) -> None:
    """Write a random key that only this user can read, unless there is one (or one is given)."""
    file = home / "secrets" / "secret_key"
    if os.environ.get("HINDSIGHT_SECRET_KEY") or file.is_file():
        return
    try:
        file.parent.chmod(0o700)
        with os.fdopen(os.open(str(file), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            handle.write(secrets.token_urlsafe(50) + "\n")
    except OSError as error:
        raise Refusal(f"The secret key {file} cannot be written ({error.strerror}).") from None
