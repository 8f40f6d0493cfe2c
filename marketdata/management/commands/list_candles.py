"""manage.py list_candles: what is held, one line or one JSON object a series."""

import datetime as dt
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from marketdata.coverage import SeriesCoverage, catalogue
from marketdata.models import Series


class Command(BaseCommand):
    help = "List every series that is held, with its coverage and what is odd about it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object a line")

    def handle(self, *args: Any, **options: Any) -> None:
        found = catalogue(Series.objects.all())
        for coverage in found:
            self.stdout.write(json.dumps(describe(coverage)) if options["json"] else to_line(coverage))
        if not found and not options["json"]:
            self.stdout.write("No candles are held. Take some in with: manage.py import_candles PATH")


def describe(coverage: SeriesCoverage) -> dict[str, Any]:
    """One series as plain values. Times are ISO 8601 in UTC; gaps are half-open [first missing, next held]."""
    return {
        "market": coverage.market,
        "symbol": coverage.symbol,
        "kind": coverage.kind,
        "timeframe": coverage.timeframe,
        "origin": coverage.origin,
        "owner": coverage.owner or None,
        "rows": coverage.n_rows,
        "bytes": coverage.n_bytes,
        "first": to_iso(coverage.first_ms),
        "last": to_iso(coverage.last_ms),
        "gaps": [[to_iso(from_ms), to_iso(to_ms)] for from_ms, to_ms in coverage.gaps],
        "no_trade_rows": coverage.n_no_trade,
        "off_grid_rows": coverage.n_off_grid,
        "duplicates": coverage.n_duplicates,
        "revision": coverage.revision,
    }


def to_line(coverage: SeriesCoverage) -> str:
    odd = [
        (len(coverage.gaps), f"gaps ({coverage.n_missing} missing)"),
        (coverage.n_no_trade, "without trades"),
        (coverage.n_off_grid, "off the grid"),
        (coverage.n_duplicates, "twice"),
    ]
    notes = ", ".join(f"{n} {what}" for n, what in odd if n)
    origin = " SYNTHETIC" if coverage.is_synthetic else f" of {coverage.owner}" if coverage.is_private else ""
    head = f"{coverage.market:5}{coverage.symbol:12}{coverage.kind:8}{coverage.timeframe:4}{coverage.n_rows:>10} rows"
    return f"{head}  {to_iso(coverage.first_ms)} to {to_iso(coverage.last_ms)}{origin}  {notes}".rstrip()


def to_iso(time_ms: int) -> str:
    moment = dt.datetime.fromtimestamp(time_ms / 1000, dt.UTC)
    return moment.isoformat(timespec="milliseconds" if time_ms % 1000 else "seconds").replace("+00:00", "Z")
