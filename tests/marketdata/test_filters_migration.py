"""The migration that moves facts: the one set of filters of an instrument becomes the set of the day it names."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MIGRATE = """
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
call_command("migrate", "marketdata", "0001", verbosity=0)
before = MigrationLoader(connection).project_state(("marketdata", "0001_initial")).apps
before.get_model("marketdata", "Instrument").objects.create(
    market="spot", symbol="ABCUSDT", base_asset="ABC", quote_asset="USDT", tick_size=0.5, step_size=0.25, min_qty=1,
    min_notional=7, rules_as_of="2024-05-06", rules_source="typed in",
)
call_command("migrate", "marketdata", verbosity=0)
from marketdata.models import FilterSet
row = FilterSet.objects.get()
print(row.instrument.symbol, row.valid_from, row.source, row.tick_size, row.step_size, row.min_qty, row.min_notional)
"""


def test_filters_of_an_older_site_keep_their_day_and_source(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-c", MIGRATE],
        cwd=ROOT,
        env={**environment, "DJANGO_SETTINGS_MODULE": "config.settings", "HINDSIGHT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split("\n")[0] == "ABCUSDT 2024-05-06 typed in 0.5 0.25 1.0 7.0", done.stderr
