"""manage.py fetch_sample_candles: sample data from the exchange's archive, else synthetic."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from marketdata.ingest.errors import IngestError
from marketdata.samples import fetch_sample


class Command(BaseCommand):
    help = "Make sure that a sample series is held: the archive's newest month, else a synthetic one."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            sample = fetch_sample(say=self.stdout.write)
        except (IngestError, OSError) as error:
            raise CommandError(f"There is no sample data: {error}") from error
        self.stdout.write(sample.message)
