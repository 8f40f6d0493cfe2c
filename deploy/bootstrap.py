"""Sets Hindsight up and runs it: the one door that the Makefile, CI and machines without make go through.

    python3 deploy/bootstrap.py run          what `make run` does; see `help` for the rest

Standard library only, and it parses on Python 3.8, because it runs before there is an environment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

import checks
import serving
import suite
from checkout import Refusal, find_home, home_environment, make_folder, run_python
from environment import ensure_environment
from locks import remake_locks
from peers import bench_peers
from sandbox import ensure_sandbox
from site_home import ensure_assets, prepare_home


def is_asked(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() in {"1", "true", "yes", "on"}


def run(arguments: Sequence[str]) -> int:
    port = serving.read_port()
    serving.check_port(port)
    setup(arguments)
    serving.serve(find_home(), port)
    return 0


def setup(arguments: Sequence[str]) -> int:
    make_folder(find_home(), "HINDSIGHT_HOME")  # before the minutes that the environment takes
    ensure_environment()
    prepare_home(find_home())
    ensure_sandbox()
    return 0


def test(arguments: Sequence[str]) -> int:
    ensure_environment()
    if arguments:
        return suite.run_chosen(arguments)
    ensure_assets(find_home(), "--no-collect")
    is_ci = is_asked("CI")
    return suite.run_suite(may_install=is_ci or is_asked("INSTALL"), is_ci=is_ci)


def check(arguments: Sequence[str]) -> int:
    ensure_environment()
    if not arguments:
        ensure_assets(find_home(), "--no-collect")
    return checks.run_checks(*arguments)


def format_code(arguments: Sequence[str]) -> int:
    ensure_environment()
    return checks.format_code()


def lock(arguments: Sequence[str]) -> int:
    ensure_environment()
    remake_locks()
    return 0


def script(*command: str) -> Callable[[Sequence[str]], int]:
    """A command that runs a module of ours in the environment."""

    def start(arguments: Sequence[str]) -> int:
        ensure_environment()
        return run_python([*command, *arguments], home_environment(find_home())).returncode

    return start


def chaos_nightly(arguments: Sequence[str]) -> int:
    """Fifty kills on each database, and strategies that take what they can. All of it, even where some of it fails."""
    ensure_environment()
    trials = (["--kills", "50", "--db", "sqlite"], ["--kills", "50", "--db", "postgres"], ["--drill", "runaways"])
    env = home_environment(find_home())
    return max([run_python(["-m", "tests.chaos", *trial, *arguments], env).returncode for trial in trials])


COMMANDS: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "run": (run, "set up what is missing, then start the site on HINDSIGHT_PORT (8000)"),
    "setup": (setup, "environment, pages' bundle, database, sample data, first account; starts nothing"),
    "test": (test, "the suite on SQLite, PostgreSQL and in a browser; with arguments: just pytest with them"),
    "chaos": (
        script("-m", "tests.chaos"),
        "kill anything of a loaded throw-away site at random: --kills, --db, --seed",
    ),
    "chaos-nightly": (chaos_nightly, "50 kills on SQLite, 50 on PostgreSQL, and runaway strategies: --seed"),
    "chaos-ingest": (
        script("-m", "tests.marketdata.kill_drill"),
        "kill importers at random and read what is left: --kills, --db, --seed",
    ),
    "check": (check, "format, lint, types, imports, sizes, migrations, deployment settings"),
    "format": (format_code, "rewrite the code in the house format"),
    "lint": (lambda _: check(["lint"]), "only the lint rules"),
    "types": (lambda _: check(["types"]), "only the types"),
    "lock": (lock, "pin the packages anew (needs the network)"),
    "bench": (script("-m", "benchmarks"), "time the engine against the bare cost of calling a strategy"),
    "bench-peers": (
        bench_peers,
        "time it beside vectorbt and backtesting.py, and compare results (needs the network once)",
    ),
    "golden": (script("-m", "tests.golden", "diff"), "show what differs from the accepted results; writes nothing"),
    "golden-accept": (script("-m", "tests.golden", "accept"), "accept a changed result: CASE REASON"),
}


def show_help() -> int:
    print(__doc__)
    for name, (_, meaning) in COMMANDS.items():
        print(f"  {name:<14} {meaning}")
    return 0


def end_once(number: int, frame: object) -> None:
    """So that what was started is ended on the way out, which a second signal does not cut short."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


def main(arguments: Sequence[str]) -> int:
    name = arguments[0] if arguments else "help"
    if name in {"help", "-h", "--help"}:
        return show_help()
    if name not in COMMANDS:
        print(f"There is no command {name!r}; `help` lists them.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, end_once)
    try:
        return COMMANDS[name][0](arguments[1:])
    except Refusal as refusal:
        print(f"{refusal}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except subprocess.SubprocessError as error:
        print(f"{error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
