"""`manage.py jail_corpus FILE.jsonl`: attacks on the jail, through the runs' own entry, judged from outside."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from backtests.engine.request import RunMode
from backtests.runner.corpus.cases import CorpusError, read_cases
from backtests.runner.corpus.judge import Judgement
from backtests.runner.corpus.run import CorpusReport, CorpusRunner
from backtests.runner.jail.layers import Layers, NoJail, can_give_users, choose_layers, find_lack, layers_of


class Command(BaseCommand):
    help = "Run every case of a corpus of attacks in the jail. Exits with 1 when one escapes."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE.jsonl", help="one case a line; ../docs/reference/jail-corpus.md")
        parser.add_argument("--level", choices=("full", "inner"), help="of the jail; else what this machine gives")
        parser.add_argument("--mode", choices=list(RunMode), default="draft", help="of the runs (draft)")
        parser.add_argument("--only", action="append", default=[], metavar="ID", help="this case; repeat for more")
        parser.add_argument(
            "--baseline", action="store_true", help="without a jail: the attacks that are known to bite must bite"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            cases = read_cases(Path(options["file"]))
        except CorpusError as error:
            raise CommandError(str(error), returncode=2) from None
        if options["only"]:
            cases = [case for case in cases if case.id in options["only"]]
        if options["baseline"]:
            cases = [case for case in cases if case.bites and (can_give_users() or case.category != "signals")]
        if not cases:
            raise CommandError("There is no such case.", returncode=2)
        layers = _find_layers(options)
        runner = CorpusRunner(
            layers,
            settings.KERNEL_CACHE,
            None if options["json"] else self._show,
            mode=RunMode(options["mode"]),
        )
        try:
            report = runner.run(cases)
        except CorpusError as error:
            raise CommandError(str(error), returncode=2) from None
        if options["json"]:
            self.stdout.write(json.dumps(_to_json(report, layers)))
        else:
            self._sum_up(report, "no jail" if options["baseline"] else f"level {layers.level}", options["mode"])
        is_fine = not report.count("contained") if options["baseline"] else report.is_contained
        if not is_fine:
            sys.exit(1)

    def _show(self, judgement: Judgement) -> None:
        case = judgement.case
        self.stdout.write(f"{judgement.verdict:<15} {case.id:<28} {judgement.seconds:5.1f} s  {judgement.why}")

    def _sum_up(self, report: CorpusReport, around: str, mode: str) -> None:
        for fault in report.worker_faults:
            self.stdout.write(f"escaped         the worker                            {fault}")
        counts = ", ".join(
            f"{report.count(verdict)} {verdict}" for verdict in ("contained", "escaped", "not applicable")
        )
        self.stdout.write(f"{len(report.judgements)} cases, {mode}, {around}, user {os.geteuid()}: {counts}")


def _find_layers(options: dict[str, Any]) -> Layers:
    if options["baseline"]:
        return layers_of("none")
    try:
        layers = layers_of(options["level"]) if options["level"] else choose_layers()
    except NoJail as error:
        raise CommandError(str(error), returncode=2) from None
    if lack := find_lack(layers.level):
        raise CommandError(f"There is no level {layers.level} here. {lack}", returncode=2)
    return layers


def _to_json(report: CorpusReport, layers: Layers) -> dict[str, Any]:
    return {
        "level": layers.level,
        "user": os.geteuid(),
        "contained": report.count("contained"),
        "escaped": report.count("escaped"),
        "not_applicable": report.count("not applicable"),
        "worker_faults": list(report.worker_faults),
        "cases": [
            {
                "id": found.case.id,
                "category": found.case.category,
                "check": found.case.check,
                "verdict": found.verdict,
                "why": found.why,
                "status": found.status,
                "failure_code": found.failure_code,
                "seconds": round(found.seconds, 3),
            }
            for found in report.judgements
        ],
    }
