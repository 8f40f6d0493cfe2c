"""`manage.py run_backtest FILE.py ...`: one run in the foreground, without worker or row; the page's own path."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from accounts.models import User
from accounts.quotas import Limits, default_limits, limits_of
from backtests.engine.errors import BacktestError, RequestError
from backtests.engine.request import (
    DEFAULT_FEES,
    RUN_LIMITS,
    TIMEFRAME_MS,
    FillPolicy,
    LimitFill,
    MarginMode,
    PathRule,
    RunMode,
    RunRequest,
    TradingMarket,
)
from backtests.management import foreground
from backtests.presentation.numbers import format_time
from backtests.run_report import RunReport, StrategyFacts
from backtests.runner.outcome import Failure, Progress, RunOutcome
from marketdata.run_data import RunData
from strategies.models import StrategyVersion
from strategies.services import StrategyError, normalise_source
from strategies.source_checks import check_source

SHOWN_METRICS = (
    "total_return",
    "annualized_return",
    "sharpe_ratio",
    "sortino_ratio",
    "max_drawdown",
    "total_trades",
    "win_rate",
    "profit_factor",
    "liquidations",
)
# Where the request's name of a field is not the option's.
_OPTIONS = {"symbols": "symbol", "params": "param", "intrabar_timeframe": "intrabar"}


class Command(BaseCommand):
    help = "Run a strategy from a file and print its result. Exits with 0 only when the run succeeded."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE.py", help="the strategy's source")
        parser.add_argument("--market", required=True, help=f"one of: {', '.join(TradingMarket)}")
        parser.add_argument("--symbol", required=True, action="append", help="for example BTCUSDT; repeat for more")
        parser.add_argument("--timeframe", required=True, help=f"one of: {', '.join(TIMEFRAME_MS)}")
        parser.add_argument("--from", dest="from_", required=True, help="first day or moment (UTC), such as 2025-01-01")
        parser.add_argument("--to", required=True, help="the first day or moment that is not in it any more")
        parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="repeat for more")
        parser.add_argument("--warmup-bars", help="bars before the span that indicators may use")
        parser.add_argument("--initial-balance", help="in quote currency (10000)")
        parser.add_argument("--margin-mode", help=f"{' or '.join(MarginMode)} (isolated)")
        parser.add_argument("--leverage", help="for orders that name none (1)")
        parser.add_argument("--max-leverage", help="the most that an order may ask for (125)")
        fees = ", ".join(f"{market} {maker:g} and {taker:g}" for market, (maker, taker) in DEFAULT_FEES.items())
        parser.add_argument("--maker-fee", help=f"a ratio ({fees} for makers and takers)")
        parser.add_argument("--taker-fee", help="a ratio")
        parser.add_argument("--slippage-bps", help="of market orders, in basis points (0)")
        parser.add_argument("--fill", help=f"where market orders fill: {' or '.join(FillPolicy)} (close)")
        parser.add_argument("--limit-fill", help=f"when limit orders fill: {' or '.join(LimitFill)} (touch)")
        parser.add_argument("--path", help=f"which extreme of a bar comes first: {' or '.join(PathRule)} (pessimistic)")
        parser.add_argument("--intrabar", metavar="TIMEFRAME", help="walk the path inside a bar in these finer candles")
        parser.add_argument("--participation-cap", metavar="RATIO", help="of a bar's volume, the most that orders take")
        parser.add_argument("--no-funding", action="store_true", help="charge no funding")
        parser.add_argument(
            "--limit",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help=f"a lower limit than the plan's, of: {', '.join(RUN_LIMITS)}; repeat for more",
        )
        parser.add_argument("--mode", help=f"{' or '.join(RunMode)} (draft); sealed: no later bar is in its memory")
        parser.add_argument("--seed", help="of random and numpy (0)")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
        parser.add_argument("--out", metavar="DIR", help="write fills, trades, orders and equity as CSV and Parquet")
        parser.add_argument("--save-for", metavar="EMAIL", help="store the run as one of this user's")

    def handle(self, *args: Any, **options: Any) -> None:
        limits, user = _find_limits(options["save_for"])
        source, name = _read_source(options["file"], limits), Path(options["file"]).stem
        out = _prepare_folder(options["out"])
        try:
            request, run_data = foreground.resolve(_to_mapping(options), source, user)
        except RequestError as error:
            raise CommandError(_describe(error), returncode=2) from None
        owned = None if user is None else (user, _find_version(user, name, source))
        outcome, report = self._run(request, run_data, foreground.describe_file(name, source), limits, options)
        run_id = "" if owned is None else str(foreground.save(*owned, request, run_data, outcome, report))
        if out is not None and report is not None:
            foreground.write_tables(report, out)
        if options["json"]:
            self.stdout.write(json.dumps(_to_json(outcome, report, run_id), allow_nan=False))
        elif report is not None:
            self._print_report(report, outcome, run_id, out)
        else:
            self._print_failure(outcome, options["file"])
        if report is None:
            sys.exit(1)

    def _run(
        self, request: RunRequest, run_data: RunData, strategy: StrategyFacts, limits: Limits, options: dict[str, Any]
    ) -> tuple[RunOutcome, RunReport | None]:
        if (failure := _check(strategy.source)) is not None:
            return RunOutcome("failed", failure), None
        bar = _ProgressBar(is_shown=sys.stderr.isatty() and not options["json"])
        try:
            return foreground.run(request, run_data, strategy, limits, on_progress=bar.show)
        except BacktestError as error:
            return RunOutcome("failed", Failure(error.code, str(error))), None
        except KeyboardInterrupt:
            raise CommandError("Stopped.", returncode=130) from None
        finally:
            bar.close()

    def _print_report(self, report: RunReport, outcome: RunOutcome, run_id: str, out: Path | None) -> None:
        symbols = ", ".join(report.request.symbols)
        lines = [f"{report.strategy.name} on {symbols} {report.request.timeframe}: {report.n_bars:,} bars"]
        if report.is_synthetic:
            lines.append("The candles are synthetic.")
        for source in report.summary()["sources"]:
            if source["built_from"]:
                text = f"{report.request.timeframe} bars built from {source['built_from']} candles"
                lines.append(f"{source['symbol']}: {text} ({source['series']})")
        for rules in report.summary()["rules"]:
            tiers = f", {rules['n_tiers']} margin tiers of {rules['tiers_as_of']}" if rules["n_tiers"] else ""
            lines.append(f"{rules['symbol']}: order filters of {rules['rules_as_of']}{tiers}")
        for name in SHOWN_METRICS:
            metric, benchmark = report.metrics.get(name), report.benchmark.get(name)
            if metric is not None:
                beside = f"   buy and hold {_show(benchmark.value)}" if benchmark is not None else ""
                lines.append(f"  {name:<20} {_show(metric.value):>14}{beside}")
        lines += [
            f"  {'final_equity':<20} {report.final_equity:>14,.2f}",
            f"  {'orders':<20} {report.n_orders:>14,}   {report.n_orders_rejected:,} rejected",
            f"  {'fills':<20} {report.n_fills:>14,}",
            *(f"Note: {warning.message}" for warning in report.warnings),
            f"Result {report.result_hash} in {outcome.timings.get('total', 0.0):.1f} s",
        ]
        if out is not None:
            lines.append(f"Tables are in {out}")
        if run_id:
            lines.append(f"Stored as run {run_id}")
        self.stdout.write("\n".join(lines))

    def _print_failure(self, outcome: RunOutcome, file: str) -> None:
        failure = outcome.failure or Failure("internal", "The run ended without a cause.")
        where = f"{file}:{failure.line}: " if failure.line else ""
        lines = [f"Failed ({failure.code}): {where}{failure.message}"]
        if failure.source_line:
            lines.append(f"    {failure.source_line}")
        if failure.bar_time_ms is not None:
            lines.append(f"At the bar of {format_time(failure.bar_time_ms)}")
        if failure.log_tail:
            lines += ["Last lines of the log:", *(f"    {line}" for line in failure.log_tail)]
        self.stderr.write("\n".join(lines))


class _ProgressBar:
    """One bar per stage that counts bars; nothing where no terminal looks on."""

    def __init__(self, *, is_shown: bool) -> None:
        self._is_shown = is_shown
        self._bar: tqdm[Any] | None = None

    def show(self, progress: Progress) -> bool:
        if self._is_shown and progress.n_total:
            if self._bar is None:
                self._bar = tqdm(total=progress.n_total, unit=" bars", leave=False, file=sys.stderr)
            self._bar.update(progress.n_done - self._bar.n)
        return True

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _find_limits(email: str | None) -> tuple[Limits, User | None]:
    if email is None:
        return default_limits(), None
    user = User.objects.filter(email__iexact=email).first()
    if user is None:
        raise CommandError(f"--save-for: there is no user {email}.", returncode=2)
    return limits_of(user), user


def _find_version(user: User, name: str, source: str) -> StrategyVersion:
    try:
        return foreground.find_version(user, name, source)
    except StrategyError as error:
        raise CommandError(f"--save-for: {error.message}", returncode=2) from None


def _read_source(file: str, limits: Limits) -> str:
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.", returncode=2) from None
    if len(data) > limits.max_source_bytes:
        raise CommandError(f"{file} has {len(data):,} bytes; {limits.max_source_bytes:,} are allowed.", returncode=2)
    try:
        return normalise_source(data.decode())
    except UnicodeDecodeError as error:
        raise CommandError(f"{file} is not UTF-8 text (byte {error.start}).", returncode=2) from None


def _prepare_folder(out: str | None) -> Path | None:
    """Before the run: nobody should wait for a result that cannot be written."""
    if out is None:
        return None
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
        (folder / ".writable").unlink()
    except OSError as error:
        raise CommandError(f"--out: {out} cannot be written to: {error.strerror}.", returncode=2) from None
    return folder


def _to_mapping(options: dict[str, Any]) -> dict[str, Any]:
    """The options as RunRequest.parse reads them."""
    names = ("market", "timeframe", "to", "warmup_bars", "initial_balance", "leverage", "max_leverage")
    more = ("maker_fee", "taker_fee", "slippage_bps", "fill", "limit_fill", "path", "margin_mode", "mode", "seed")
    return {
        **{name: options[name] for name in (*names, *more, "participation_cap")},
        "intrabar_timeframe": options["intrabar"],
        "symbols": options["symbol"],
        "from": options["from_"],
        "funding": not options["no_funding"],
        "params": _read_pairs(options["param"], "--param"),
        "limits": _read_pairs(options["limit"], "--limit"),
    }


def _read_pairs(given: Sequence[str], option: str) -> dict[str, str]:
    pairs = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not name.strip().isidentifier():
            raise CommandError(f"{option} {text!r} is not NAME=VALUE.", returncode=2)
        pairs[name.strip()] = value.strip()
    return pairs


def _describe(error: RequestError) -> str:
    field = str(error.field)
    if field.startswith("params."):
        return f"--param {field.removeprefix('params.')}: {error.message}"
    if field.startswith("limits."):
        return f"--limit {field.removeprefix('limits.')}: {error.message}"
    option = _OPTIONS.get(field, field.replace("_", "-"))
    return f"--{option}: {error.message}" if option else error.message


def _check(source: str) -> Failure | None:
    """The first error of the friendly checks, which come before any process is started."""
    for problem in check_source(source):
        if problem.severity == "error":
            lines = source.splitlines()
            source_line = lines[problem.line - 1].strip() if 0 < problem.line <= len(lines) else ""
            return Failure("strategy_source", problem.message, problem.line, source_line)
    return None


def _show(value: float | int | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4f}"


def _to_json(outcome: RunOutcome, report: RunReport | None, run_id: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"status": outcome.status, **({"run": run_id} if run_id else {})}
    if report is not None:
        facts |= report.summary()
    if outcome.failure is not None:
        facts["failure"] = outcome.failure.to_json()
    return facts
