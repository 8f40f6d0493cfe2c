"""manage.py import_instruments FILE: order filters and margin tiers from the exchange's own answers."""

import datetime as dt
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketdata.ingest.errors import IngestError
from marketdata.rule_imports import RulesOutcome, import_instruments
from marketdata.segments import Change


class Command(BaseCommand):
    help = "Take in dated filters and margin tiers: exchangeInfo, leverageBracket or plain tiers as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE")
        parser.add_argument("--market", default="", choices=["", "spot", "usdm"], help="refuse a file of the other one")
        parser.add_argument("--as-of", type=dt.date.fromisoformat, metavar="DATE", help="the day from which they hold")
        parser.add_argument("--symbol", action="append", default=[], help="only this one; repeat for more")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            outcome = import_instruments(
                options["file"], market=options["market"], as_of=options["as_of"], symbols=options["symbol"]
            )
        except IngestError as error:
            if options["json"]:
                refused = {"is_complete": False, "refused": {"code": error.code, "message": error.message}}
                self.stdout.write(json.dumps(refused))
            raise CommandError(f"{error.message} Nothing was written. [{error.code}]") from None
        if options["json"]:
            self.stdout.write(json.dumps(describe(outcome)))
            return
        for line in (*outcome.notes, *(str(found) for found in outcome.changes if found.change != Change.UNCHANGED)):
            self.stdout.write(line)
        counts = ", ".join(f"{outcome.count(change)} {change.value}" for change in Change)
        self.stdout.write(self.style.SUCCESS(f"{outcome.kind}: {counts}."))


def describe(outcome: RulesOutcome) -> dict[str, Any]:
    """The outcome as plain values."""
    return {
        "is_complete": True,
        "kind": outcome.kind,
        "changes": [
            {
                "market": found.market,
                "symbol": found.symbol,
                "what": found.what,
                "change": found.change.value,
                "valid_from": found.valid_from.isoformat() if found.valid_from else None,
            }
            for found in outcome.changes
        ],
        "notes": outcome.notes,
    }
