"""Starts the site in place of this process, so that Ctrl-C reaches its supervisor and nothing stays behind."""

from __future__ import annotations

import os
import shlex
import socket
from pathlib import Path

from checkout import ROOT, VENV_PYTHON, Refusal, home_environment, say

HOST = "127.0.0.1"


def read_port() -> int:
    word = os.environ.get("HINDSIGHT_PORT", "").strip() or "8000"
    if not word.isdigit() or not 1 <= int(word) <= 65_535:
        raise Refusal(f"HINDSIGHT_PORT={word!r} is not a port: use a number from 1 to 65535.")
    return int(word)


def check_port(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            raise Refusal(
                f"Port {port} needs administrator rights: choose one above 1023 with HINDSIGHT_PORT."
            ) from None
        except OSError:
            raise Refusal(
                f"Port {port} is already in use: stop what runs there, or choose another, for example"
                f" HINDSIGHT_PORT={port + 1 if port < 65_535 else 8001}."
            ) from None


def serve(home: Path, port: int) -> None:
    """Does not return."""
    setting = "" if home == ROOT / "var" else f"HINDSIGHT_HOME={shlex.quote(str(home))} "
    say(
        f"\nOpen http://{HOST}:{port}/ and sign up there, or sign in with the staff account of the first start."
        f"\nA new password for it: {setting}.venv/bin/python manage.py changepassword admin@localhost"
        f"\nEverything that is kept lies in {home}. Stop with Ctrl-C.\n"
    )
    os.chdir(str(ROOT))
    os.execve(str(VENV_PYTHON), [str(VENV_PYTHON), "manage.py", "serve", "--port", str(port)], home_environment(home))
