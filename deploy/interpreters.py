"""Finds a Python that can really run this project: every candidate is started, because shims exist and fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from checkout import Refusal

OLDEST = (3, 12)
TOO_NEW = (3, 15)
NEEDED_MODULES = ("venv", "ensurepip", "sqlite3", "ssl", "ctypes", "zlib")
PROBE = """
import importlib, json, sys
missing = []
for name in NAMES:
    try:
        importlib.import_module(name)
    except Exception:
        missing.append(name)
print(json.dumps({"executable": sys.executable, "version": list(sys.version_info[:3]), "missing": missing}))
""".replace("NAMES", repr(NEEDED_MODULES))


@dataclass(frozen=True)
class Interpreter:
    executable: str
    version: tuple[int, ...]
    missing: tuple[str, ...]  # modules of the standard library that this build lacks

    @property
    def is_fitting(self) -> bool:
        return OLDEST <= self.version[:2] < TOO_NEW

    @property
    def name(self) -> str:
        return "Python " + ".".join(str(part) for part in self.version)


def candidates() -> Iterator[str]:
    """Names and paths worth trying, best first."""
    if word := os.environ.get("HINDSIGHT_PYTHON", "").strip():
        yield word
        return
    if OLDEST <= sys.version_info[:2] < TOO_NEW:
        yield sys.executable
    yield from ("python3.14", "python3.13", "python3.12", "python3", "python")
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    versions = [folder for folder in root.glob("versions/3.*") if (folder / "bin" / "python").exists()]
    for folder in sorted(versions, key=_version_key, reverse=True):
        yield str(folder / "bin" / "python")


def _version_key(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in folder.name.split("."))


def probe(candidate: str) -> Interpreter | None:
    """Start the candidate and ask it what it is; None when it does not run."""
    try:
        done = subprocess.run(
            [candidate, "-I", "-c", PROBE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=True,
        )
        facts = json.loads(done.stdout)
        return Interpreter(facts["executable"], tuple(facts["version"]), tuple(facts["missing"]))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None


def find_interpreter(tried: Sequence[str] | None = None) -> Interpreter:
    """The first candidate that runs, has a fitting version and lacks nothing. Raises Refusal saying what to install."""
    seen: list[Interpreter] = []
    for candidate in candidates() if tried is None else tried:
        found = probe(candidate)
        if found is None:
            continue
        if found.is_fitting and not found.missing:
            return found
        seen.append(found)
    raise Refusal(_what_to_install(seen))


def _what_to_install(seen: Sequence[Interpreter]) -> str:
    for found in seen:
        if found.is_fitting:
            minor = f"python{found.version[0]}.{found.version[1]}"
            if set(found.missing) <= {"venv", "ensurepip"}:
                return (
                    f"{found.name} ({found.executable}) cannot make environments: install its venv package"
                    f" (Debian, Ubuntu: apt-get install {minor}-venv) and run this again."
                )
            return (
                f"{found.name} ({found.executable}) was built without {', '.join(found.missing)}:"
                f" install a complete one (Debian, Ubuntu: apt-get install {minor} {minor}-venv) and run this again."
            )
    there = ", ".join(sorted({f"{found.name} ({found.executable})" for found in seen})) or "no Python that runs"
    return (
        f"Hindsight needs Python 3.12, 3.13 or 3.14, and here is {there}: install one (Debian, Ubuntu: apt-get install"
        " python3.13 python3.13-venv; macOS: brew install python@3.13; or: pyenv install 3.13) and run this again."
    )
