"""manage.py import_candles PATH...: zips, CSVs and whole folders into the catalogue."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from marketdata.imports import ImportOutcome, import_paths, log_lines
from marketdata.segments import Change


class Command(BaseCommand):
    help = "Take in candle and funding files: zips, CSVs, whole folders. What a path says need not be repeated."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", metavar="PATH")
        parser.add_argument("--market", default="", choices=["", "spot", "usdm"], help="where the path does not say it")
        parser.add_argument("--symbol", default="", help="for example BTCUSDT")
        parser.add_argument("--timeframe", default="", help="for example 1m")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        with tqdm(unit="file", disable=options["json"] or not sys.stderr.isatty(), leave=False) as bar:

            def show(n_done: int, n_total: int, what: str) -> None:
                bar.total, bar.n = n_total, n_done
                bar.set_description(what)

            outcome = import_paths(
                options["paths"],
                market=options["market"],
                symbol=options["symbol"],
                timeframe=options["timeframe"],
                on_progress=show,
            )
        if options["json"]:
            self.stdout.write(json.dumps(describe(outcome)))
        else:
            for line in log_lines(outcome):
                self.stdout.write(line)
        summary = (
            f"{outcome.n_files_done} of {outcome.n_files} files taken in, {outcome.n_rows} rows:"
            f" {outcome.count(Change.NEW)} new months, {outcome.count(Change.REVISED)} revised,"
            f" {outcome.count(Change.UNCHANGED)} unchanged."
        )
        if not outcome.is_complete:
            raise CommandError(f"{summary} {len(outcome.refusals)} refused.")
        if not options["json"]:
            self.stdout.write(self.style.SUCCESS(summary))


def describe(outcome: ImportOutcome) -> dict[str, Any]:
    """The outcome as plain values."""
    return {
        "job": str(outcome.job.pk),
        "is_complete": outcome.is_complete,
        "n_files": outcome.n_files,
        "n_files_done": outcome.n_files_done,
        "n_rows": outcome.n_rows,
        "segments": [
            {
                "series": str(key),
                "month": f"{change.month:%Y-%m}",
                "change": change.change.value,
                "rows": change.n_rows,
                "revision": change.revision,
                "quality": change.quality,
            }
            for key, change in outcome.changes
        ],
        "refused": [
            {"name": refusal.name, "code": refusal.code, "message": refusal.message, "path": refusal.path}
            for refusal in outcome.refusals
        ],
        "notes": outcome.notes,
    }
