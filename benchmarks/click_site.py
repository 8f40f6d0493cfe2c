"""The site of click.py: a user, a strategy, a month of 1h candles. Prints what a browser needs as one line of JSON."""

import json
import socket
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.test import Client

from accounts.models import User
from benchmarks.imports import write_candles
from benchmarks.workloads import FLIP
from marketdata.imports import import_paths
from strategies.services import create_strategy

N_HOURS = 31 * 24


def main() -> None:
    call_command("migrate", verbosity=0)
    user = User.objects.create_user("bench@example.org", "a password of the bench")
    user.keep_one_address(is_confirmed=True)
    version = create_strategy(user, "Flip", FLIP)
    outcome = import_paths([write_candles(Path(settings.HOME) / "in", "BTCUSDT", "1h", N_HOURS)])
    if not outcome.is_complete:
        raise SystemExit(f"The month was not taken in: {outcome.refusals}")
    client = Client()
    client.force_login(user)
    fields = {
        "strategy": str(version.strategy_id),
        "market": "usdm",
        "symbol": "BTCUSDT",
        "timeframe": "1h",
        "from": "2025-01-01",
        "to": "2025-02-01",
        "initial_balance": "1000000",
    }
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    cookies = {name: morsel.value for name, morsel in client.cookies.items()}
    print(json.dumps({"port": port, "cookies": cookies, "fields": fields}))
