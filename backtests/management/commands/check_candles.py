"""manage.py check_candles: compares every candle file that the catalogue or a run points to with its hash and row."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from backtests.pins import find_pinned
from marketdata.fetch.errors import ArchiveError
from marketdata.fetch.repair import Repair
from marketdata.home import candle_store
from marketdata.jobs.repairs import repair_candles
from marketdata.store import StoreError
from marketdata.verification import Damage, Verification, verify_candles


class Command(BaseCommand):
    requires_system_checks = ()  # they load every page, which this does not need
    help = (
        "Read every candle file again and report what is damaged; --repair makes it again from the exchange's archive. "
        "Exits with 0 only when nothing is damaged (any more)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
        parser.add_argument("--repair", action="store_true", help="fetch the sources of what is damaged again")

    def handle(self, *args: Any, **options: Any) -> None:
        is_json = options["json"]
        found, repairs = self._verify(is_json), []
        if options["repair"] and not found.is_sound:
            repairs = self._repair(found, is_json)
            found = self._verify(is_json)
        if is_json:
            told = {"repairs": [repair.to_json() for repair in repairs]} if options["repair"] else {}
            self.stdout.write(json.dumps(found.to_json() | told))
        else:
            self.stdout.write(_to_text(found))
        if not found.is_sound:
            sys.exit(1)

    def _repair(self, found: Verification, is_json: bool) -> list[Repair]:
        try:
            return repair_candles(found.damage, tell=None if is_json else self.stdout.write)
        except (StoreError, OSError, ArchiveError) as error:
            raise CommandError(f"The repair stopped: {error}") from None

    def _verify(self, is_json: bool) -> Verification:
        is_quiet = is_json or not sys.stderr.isatty()
        with tqdm(disable=is_quiet, unit="file", leave=False) as bar:

            def show(n_done: int, n_total: int, what: str) -> None:
                bar.total = n_total
                bar.set_description(what, refresh=False)
                bar.update(n_done - bar.n)

            try:
                return verify_candles(candle_store(), find_pinned(), on_progress=show)
            except StoreError as error:
                raise CommandError(str(error)) from None


def _to_text(found: Verification) -> str:
    lines = [_to_line(damage) for damage in found.damage]
    if n := len(found.files_without_row):
        lines.append(f"{n} files have no row: sweep_candles removes them when they are a day old.")
    state = "all as they should be" if found.is_sound else f"{len(found.damage)} of them not as they should be"
    return "\n".join([*lines, f"{found.n_checked} candle files checked, {state}."])


def _to_line(damage: Damage) -> str:
    where = f"{damage.series} {damage.month} revision {damage.revision}" if damage.series else "Pinned by runs only"
    facts = [name for name, holds in (("current", damage.is_current), ("pinned by runs", damage.is_pinned)) if holds]
    return f"{damage.kind}: {where}{f' ({", ".join(facts)})' if facts else ''}: {damage.message}"
