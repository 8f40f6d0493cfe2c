"""manage.py load_instruments: the bundled rules of the main instruments into rows."""

from typing import Any

from django.core.management.base import BaseCommand

from marketdata.instruments import load_instruments


class Command(BaseCommand):
    help = "Write the bundled, dated instrument rules and margin tiers into rows that are not there yet."

    def handle(self, *args: Any, **options: Any) -> None:
        n_written = load_instruments()
        self.stdout.write(f"{n_written} rows written." if n_written else "All bundled rules are there already.")
