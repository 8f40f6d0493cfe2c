"""What holds strategies: bubblewrap and the kernel. Installed where that is one command, said where it is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from checkout import find_home, home_environment, run_python, say

PACKAGES = ("bubblewrap", "libseccomp2")
_ASK = "from backtests.runner.jail.layers import find_lack; print(find_lack('inner')); print(find_lack('full'))"


def ensure_sandbox() -> None:
    """Never fails: a machine without it serves pages, and runs no strategies or holds them by the inner layer."""
    if sys.platform == "linux" and shutil.which("bwrap") is None:
        install_packages()
    asked = run_python(["-c", _ASK], home_environment(find_home()), quiet=True)
    answer = (asked.stdout or "").splitlines() if asked.returncode == 0 else []
    if len(answer) < 2:
        say("What holds strategies on this machine could not be found out; `manage.py check --deploy` says more.")
    elif answer[0]:
        say(f"This machine runs no strategies. {answer[0]}")
    elif answer[1]:
        say(f"Strategies are held by the inner layer alone. {answer[1]}")
    else:
        say("Strategies are held by both layers of the jail.")


def install_packages() -> None:
    is_debian = Path("/etc/debian_version").is_file() and shutil.which("apt-get") is not None
    install = f"apt-get update && apt-get install -y {' '.join(PACKAGES)}"  # a fresh image has no lists of packages
    if not is_debian:
        say("bubblewrap is missing. Install it with this system's package manager (its package is `bubblewrap`).")
    elif os.geteuid() != 0:
        say(f"bubblewrap is missing. Install it with: sudo sh -c '{install}'")
    else:
        say("Installing bubblewrap, which holds strategies.")
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(["sh", "-c", install], env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            said = ((done.stderr or done.stdout or "").strip().splitlines() or [""])[-1]
            say(f"bubblewrap could not be installed ({said}). Try: {install}")
