"""Finds Chromium for the browser tests; installs Debian's only when asked to."""

from __future__ import annotations

import os
import shutil
import subprocess

from checkout import Refusal, say

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL = "apt-get update && apt-get install -y --no-install-recommends chromium"


def find_chromium() -> str | None:
    given = os.environ.get("HINDSIGHT_CHROMIUM", "").strip()
    return shutil.which(given) if given else next((path for path in map(shutil.which, NAMES) if path), None)


def ensure_chromium(*, may_install: bool) -> str | None:
    """Its path, or None when it is not here and may not be installed. Raises Refusal when installing fails."""
    found = find_chromium()
    if found or not may_install:
        return found
    if not shutil.which("apt-get"):
        raise Refusal("Chromium is not here and there is no apt-get to install it with: install it by hand.")
    say(f"Installing Chromium for the browser tests: {INSTALL}")
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    done = subprocess.run(["sh", "-c", INSTALL], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    found = find_chromium()
    if done.returncode != 0 or not found:
        print(done.stdout.decode(errors="replace")[-2000:])
        raise Refusal(f"Chromium could not be installed; try by hand, as root: {INSTALL}")
    return found
