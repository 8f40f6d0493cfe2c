"""manage.py sweep_candles: removes candle files that neither the catalogue nor a run points to."""

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backtests.pins import find_pinned
from marketdata.home import candle_store
from marketdata.store import StoreError
from marketdata.sweeping import Swept, sweep_candles


class Command(BaseCommand):
    requires_system_checks = ()  # they load every page, which this does not need
    help = (
        "Remove candle files that nobody points to, temporary files of writers that died, and copies of what is gone."
        " The site does so itself once a day."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
        parser.add_argument(
            "--grace-hours", type=float, default=24.0, help="what was written since stays (24; at least 1)"
        )
        parser.add_argument(
            "--drop-superseded-days",
            type=float,
            help="also drop revisions that were replaced so many days ago (at least 1) and that no run pins",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["drop_superseded_days"]
        if options["grace_hours"] < 1:
            raise CommandError("--grace-hours: an import needs some time between its file and its row; at least 1.")
        if days is not None and days < 1:
            raise CommandError("--drop-superseded-days: a run may be about to pin what was just replaced; at least 1.")
        try:
            swept = sweep_candles(
                candle_store(),
                find_pinned,
                grace_s=options["grace_hours"] * 3600,
                drop_superseded_after=None if days is None else timedelta(days=days),
                is_dry=options["dry_run"],
            )
        except StoreError as error:
            raise CommandError(str(error)) from None
        is_dry = options["dry_run"]
        self.stdout.write(json.dumps(swept.to_json()) if options["json"] else _to_line(swept, is_dry=is_dry))


def _to_line(swept: Swept, *, is_dry: bool) -> str:
    verb = "Would remove" if is_dry else "Removed"
    return (
        f"{verb} {len(swept.orphans)} candle files ({swept.n_bytes / 1e6:.1f} MB) that nobody points to, "
        f"{swept.n_revisions} replaced revisions, {len(swept.leftovers)} temporary files, {swept.n_copies} copies."
    )
