"""manage.py fetch_candles SYMBOL...: from the exchange's public archive into the catalogue."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from marketdata.fetch.errors import FetchRefused
from marketdata.fetch.extend import find_extensions
from marketdata.fetch.fetch_request import FetchRequest
from marketdata.fetch.pulse import Pulse
from marketdata.fetch.site import today_utc
from marketdata.jobs.attempt import run_fetch
from marketdata.jobs.service import Preview, parse_request, preview_fetch
from marketdata.models import IngestJob
from marketdata.timeframes import TIMEFRAME_MS


class Command(BaseCommand):
    help = (
        "Fetch candles from the exchange's public archive: monthly files, daily ones for what these lack. "
        "Ends with 0 only when everything asked for is held; run it again to go on where it stopped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("symbols", nargs="*", metavar="SYMBOL", help="for example BTCUSDT ETHUSDT")
        parser.add_argument("--market", default="usdm", choices=["usdm", "spot"])
        parser.add_argument("--timeframe", default="1m", choices=list(TIMEFRAME_MS))
        parser.add_argument("--from", default="", metavar="WHEN", help="first month (2025-01) or day (2025-01-31)")
        parser.add_argument("--to", default="", metavar="WHEN", help="last month or day; left out: the newest there is")
        parser.add_argument("--mark", action="store_true", help="mark prices, too (futures)")
        parser.add_argument("--funding", action="store_true", help="funding rates, too (futures)")
        parser.add_argument("--extend", action="store_true", help="bring all that is held up to the newest files")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be fetched")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        self.is_json = options["json"]
        if options["extend"]:
            if options["symbols"] or options["from"] or options["dry_run"]:
                raise CommandError("--extend goes by what is held: name no symbols and no span.")
            self._run(*self._start_extension())
            return
        try:
            request = parse_request(options)
        except FetchRefused as error:
            raise CommandError(f"{error.field}: {error.message}" if error.field else error.message) from error
        if options["dry_run"]:
            self._tell_plan(preview_fetch(request, deadline_s=None))
            return
        description = f"Fetch {request.describe()}"
        self._run(IngestJob.objects.start(IngestJob.Kind.FETCH, description, request=request.to_json()), request)

    def _start_extension(self) -> tuple[IngestJob, None]:
        if not find_extensions(today_utc()) and not self.is_json:
            self.stdout.write("Nothing to extend: no series of the exchange is held, or all are up to date.")
        description = "Extend what is held to the newest files"
        return IngestJob.objects.start(IngestJob.Kind.EXTEND, description, request={"extend": True}), None

    def _run(self, job: IngestJob, request: FetchRequest | None) -> None:
        is_silent = self.is_json or not sys.stderr.isatty()
        try:
            with tqdm(unit="file", disable=is_silent, leave=False) as bar:

                def show(pulse: Pulse) -> None:
                    bar.total, bar.n = pulse.facts.get("n_files", 0), pulse.facts.get("n_files_done", 0)
                    bar.set_description(pulse.progress.get("now") or pulse.stage, refresh=False)
                    bar.set_postfix_str(f"{pulse.progress.get('n_bytes', 0) / 2**20:.1f} MiB")

                report = run_fetch(job, show=show, tell=None if self.is_json else self._tell, is_command=True)
        except KeyboardInterrupt:
            raise CommandError("Cancelled. The same command goes on where this one stopped.", returncode=130) from None
        job.refresh_from_db()
        if self.is_json:
            facts = {"job": str(job.pk), "status": job.status, "is_complete": bool(report and report.is_complete)}
            facts |= {"failure": {"code": job.failure_code, "message": job.failure} if job.failure_code else None}
            facts |= {"request": request.to_json() if request else job.request}
            facts |= {"n_files": job.n_files, "n_files_done": job.n_files_done, "n_rows": job.n_rows}
            self.stdout.write(json.dumps(facts | {"outcome": job.outcome}))
        if report is None or not report.is_complete:
            raise CommandError(job.failure or "Cancelled.")

    def _tell(self, line: str) -> None:
        with tqdm.external_write_mode(sys.stderr):
            self.stdout.write(line)
            self.stdout.flush()

    def _tell_plan(self, preview: Preview) -> None:
        if preview.problem:
            raise CommandError(preview.problem)
        if self.is_json:
            self.stdout.write(json.dumps(describe_plan(preview)))
        else:
            for series in preview.series:
                span = f", {series.first} to {series.last}" if series.n_files else ""
                weight = f", {series.n_bytes / 2**20:.1f} MiB" if series.n_bytes else ""
                held = f", {series.n_held} of them held" if series.n_held else ""
                self.stdout.write(f"{series.name}: {series.n_files} files{span}{weight}{held}")
                for missing in series.missing:
                    self.stdout.write(f"missing: {missing.message}")
        if preview.missing:
            raise CommandError(f"Not everything can be had: {len(preview.missing)} stretches are missing.")


def describe_plan(preview: Preview) -> dict[str, Any]:
    """The plan as plain values."""
    return {
        "request": preview.request.to_json(),
        "n_files": preview.n_files,
        "n_bytes": preview.n_bytes,
        "series": [
            {
                "series": series.name,
                "n_files": series.n_files,
                "n_files_held": series.n_held,
                "n_bytes": series.n_bytes,
                "first": series.first,
                "last": series.last,
                "missing": [missing.to_json() for missing in series.missing],
            }
            for series in preview.series
        ],
    }
