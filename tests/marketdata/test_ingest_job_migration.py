"""The migration that gives ingest jobs a life: those of an older site have ended, one way or the other."""

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
from django.utils import timezone
call_command("migrate", "marketdata", "0003", verbosity=0)
before = MigrationLoader(connection).project_state(("marketdata", "0003_private_instruments")).apps
jobs = before.get_model("marketdata", "IngestJob").objects
jobs.create(description="running", status="running")
jobs.create(description="failed", status="failed", finished_at=timezone.now())
jobs.create(description="succeeded", status="succeeded", finished_at=timezone.now())
call_command("migrate", "marketdata", verbosity=0)
from marketdata.models import IngestJob
for job in IngestJob.objects.order_by("description"):
    print(job.description, job.status, job.failure_code, job.created_at == job.started_at, job.finished_at is not None)
"""


def test_jobs_of_an_older_site_have_ended(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-c", MIGRATE],
        cwd=ROOT,
        env={**environment, "DJANGO_SETTINGS_MODULE": "config.settings", "HINDSIGHT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == [
        "failed failed refused True True",
        "running failed lost True True",
        "succeeded succeeded  True True",
    ], done.stderr
