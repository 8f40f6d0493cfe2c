"""`make check`: everything that can be known without running the tests."""

from __future__ import annotations

import secrets
import tempfile
import time
from pathlib import Path

from checkout import ROOT, home_environment, run_python, say

TYPED = ("config", "accounts", "strategies", "marketdata", "backtests", "deploy", "benchmarks", "manage.py")
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"
CHECKS = (
    ("format", ("-m", "ruff", "format", "--check", "--quiet", ".")),
    ("lint", ("-m", "ruff", "check", "--quiet", ".")),
    ("types", ("-m", "mypy", *TYPED)),
    ("imports", ("-c", LINT_IMPORTS, "--no-cache")),
    ("sizes and names", ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/architecture")),
    ("missing migrations", ("manage.py", "makemigrations", "--check", "--dry-run")),
    ("deployment settings", ("manage.py", "check", "--deploy", "--fail-level", "WARNING")),
)


def run_checks(*names: str) -> int:
    """Run the named checks, or all, every one to its end. Returns the exit code."""
    failed = []
    with tempfile.TemporaryDirectory(prefix="hindsight-check-") as folder:
        for name, arguments in CHECKS:
            if names and name not in names:
                continue
            more = example_environment() if name == "deployment settings" else {}
            more["HINDSIGHT_SECRET_KEY"] = secrets.token_urlsafe(50)
            started = time.monotonic()
            done = run_python(arguments, home_environment(Path(folder), **more), quiet=True)
            state = "ok" if done.returncode == 0 else "FAILED"
            say(f"{name:<22}{state}  ({time.monotonic() - started:.1f} s)")
            if done.returncode != 0:
                say(done.stdout)
                failed.append(name)
    if failed:
        say(f"Failed: {', '.join(failed)}.")
    return 1 if failed else 0


def example_environment() -> dict[str, str]:
    """What deploy/env.example sets: the values a public installation starts from."""
    lines = (ROOT / "deploy" / "env.example").read_text().splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs if name.strip() != "HINDSIGHT_HOME"}


def format_code() -> int:
    with tempfile.TemporaryDirectory(prefix="hindsight-check-") as folder:
        env = home_environment(Path(folder))
        return max(
            run_python(["-m", "ruff", "check", "--fix", "."], env).returncode,
            run_python(["-m", "ruff", "format", "."], env).returncode,
        )
