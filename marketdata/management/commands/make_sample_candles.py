"""manage.py make_sample_candles: a deterministic, labelled synthetic series for machines without a network."""

from typing import Any

from django.core.management.base import BaseCommand

from marketdata.imports import log_lines
from marketdata.samples import make_sample


class Command(BaseCommand):
    help = "Store a synthetic month of BTCUSDT futures 1m with funding. It is labelled synthetic wherever it shows."

    def handle(self, *args: Any, **options: Any) -> None:
        for line in log_lines(make_sample()):
            self.stdout.write(f"synthetic {line}")
