"""`make lock`: pins every package by version and hash, and names no registry, so that any mirror serves."""

from __future__ import annotations

from pathlib import Path

from checkout import LOCK_FILE, ROOT, Refusal, find_home, home_environment, must_run, say
from peers import PEERS

NODE_FILE = ROOT / "requirements" / "node.txt"
NODE_SOURCE = ROOT / "requirements" / "node.in"
OTHER_LOCKS = (NODE_FILE, *(ROOT / "requirements" / f"{peer}.txt" for peer in PEERS))
OPTIONS = ("--universal", "--python-version", "3.12", "--generate-hashes", "--no-emit-index-url", "--no-header")


def remake_locks() -> None:
    """Rewrite requirements/*.txt and static/package-lock.json from what pyproject.toml and package.json ask for."""
    env = home_environment(find_home())
    sources = [("pyproject.toml", ["--group", "dev"], LOCK_FILE)]
    sources += [(str(file.with_suffix(".in").relative_to(ROOT)), [], file) for file in OTHER_LOCKS]
    for source, more, target in sources:
        say(f"Locking {source}")
        compile_lock = ["-m", "uv", "pip", "compile", source, *more, *OPTIONS, "--upgrade", "-o", str(target)]
        must_run(f"Locking {source}", compile_lock, env)
        refuse_hosts(target)
    must_run("Locking the npm packages", ["deploy/build_assets.py", "--lock", "--no-collect"], env, quiet=False)
    refuse_hosts(ROOT / "static" / "package-lock.json")


def refuse_hosts(file: Path) -> None:
    """Raises Refusal when a lock file says where a package comes from."""
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        if "--index-url" in line or '"resolved"' in line or " @ http" in line:
            raise Refusal(f"{file.relative_to(ROOT)} line {number} names a registry's address: {line.strip()[:120]}")
