"""What a user does with runs: request, cancel, delete. Form, API and command all come through here.

Every rule that is broken raises RequestError(field, code, message); field "" means the request as a whole.
"""

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import OperationalError, transaction

from accounts.models import User
from accounts.quotas import Limits, default_limits, limits_of
from backtests import artifacts
from backtests.engine.errors import RequestError
from backtests.engine.request import RunRequest, timeframe_to_ms
from backtests.models import BacktestRun
from backtests.operations import dispatcher
from backtests.runner.sealed_time import check_sealed_time
from marketdata.run_data import RunData
from marketdata.services import DataUnavailable, resolve_run_data
from strategies.models import StrategyVersion
from strategies.params import ParamError, ParamSpec, read_warmup_bars, resolve_params

FULL = "The site has no room left on its disk, so nothing was queued. Try again later, or tell the operator."
MAX_BARS = 6_000_000  # all symbols, warm-up and finer bars together: eleven years of 1m of one symbol


def request_from_mapping(user: User, raw: Mapping[str, Any]) -> BacktestRun:
    """Queue a run from form data or JSON: `strategy` (id), `version` (number; empty: the latest), and the request."""
    version = _find_version(user, raw.get("strategy"), raw.get("version"))
    rest = {name: value for name, value in raw.items() if name not in ("strategy", "version")}
    return request_run(user, rest, strategy_version=version)


def request_run(user: User, raw: Mapping[str, Any], *, strategy_version: StrategyVersion) -> BacktestRun:
    """Validate, pin the data, store a queued run; its message leaves when the transaction commits.

    Raises RequestError.
    """
    raw = fill_warmup(raw, strategy_version.source)
    request, run_data = resolve_request(raw, strategy_version.param_schema, user, source=strategy_version.source)
    try:
        with transaction.atomic():
            _check_quota(user)
            run = create_run(user, request, run_data, strategy_version)
            # Row first, then queue. If the queue does not answer, the row waits for the reaper.
            transaction.on_commit(dispatcher.dispatch_quietly)
    except OperationalError as error:
        if not _is_full(error):
            raise
        raise RequestError("", "storage_full", FULL) from error
    return run


def request_again(user: User, run: BacktestRun) -> BacktestRun:
    """Queue the same request of the same version on the candles that are held now. Raises RequestError."""
    return request_run(user, {**run.request, "data_revision": ""}, strategy_version=run.strategy_version)


def fill_warmup(raw: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    """`warmup_bars` of the strategy's class, where the request names none."""
    return raw if raw.get("warmup_bars") not in (None, "") else {**raw, "warmup_bars": read_warmup_bars(source)}


def resolve_request(
    raw: Mapping[str, Any], param_schema: Sequence[ParamSpec], user: User | None = None, *, source: str
) -> tuple[RunRequest, RunData]:
    """The request with every parameter and the data revision filled in, and the data that it pins. No row, no queue.

    Private symbols are those of `user`; without one there are none.
    Raises RequestError.
    """
    request = RunRequest.parse(raw)
    _check_size(request)
    plan = limits_of(user) if user else default_limits()
    _check_limits(request, plan)
    check_sealed_time(request, source, plan.lowered(request.limits))
    try:
        params = resolve_params(param_schema, request.params)
    except ParamError as error:
        raise RequestError(f"params.{error.name}", error.code, error.message) from error
    try:
        run_data = resolve_run_data(
            request.market,
            request.symbols,
            request.timeframe,
            request.from_ms,
            request.to_ms,
            request.warmup_bars,
            funding=request.funding,
            intrabar_timeframe=request.intrabar_timeframe,
            data_revision=request.data_revision,
            user=user,
        )
    except DataUnavailable as error:
        raise RequestError(error.field, error.code, error.message) from error
    return replace(request, params=params, data_revision=run_data.data_revision), run_data


def create_run(user: User, request: RunRequest, run_data: RunData, strategy_version: StrategyVersion) -> BacktestRun:
    """A queued row, without a message."""
    return BacktestRun.objects.create(
        owner=user,
        strategy_version=strategy_version,
        request=request.to_json(),
        run_data=run_data.to_json(),
        data_revision=request.data_revision,
        market=request.market,
        symbol=request.symbol,
        timeframe=request.timeframe,
        mode=request.mode,
        from_ms=request.from_ms,
        to_ms=request.to_ms,
    )


def cancel_run(run: BacktestRun) -> bool:
    """Ask for the end of a run. A queued one is cancelled at once, a running one within two seconds.

    False: it was finished, or its end was asked for before; nothing changed. Does not refresh `run`.
    """
    return bool(BacktestRun.objects.filter(pk=run.pk).request_cancel())


def delete_run(run: BacktestRun) -> None:
    """Delete a finished run and its files. Raises RequestError while it is active."""
    with transaction.atomic():
        n_rows, _ = BacktestRun.objects.filter(pk=run.pk).finished().delete()
        if not n_rows and BacktestRun.objects.filter(pk=run.pk).exists():
            raise RequestError("", "run_active", "This run is not finished. Cancel it first, then delete it.")
        transaction.on_commit(partial(artifacts.delete_run_files, run.pk), robust=True)


def _find_version(user: User, strategy_id: Any, number: Any) -> StrategyVersion:
    if not strategy_id:
        raise RequestError("strategy", "missing", "Choose the strategy to run.")
    versions = StrategyVersion.objects.visible_to(user).filter(strategy__archived_at__isnull=True)
    try:
        versions = versions.filter(strategy_id=strategy_id)
        latest = versions.order_by("-number").first()
    except (ValidationError, ValueError, TypeError):
        latest = None
    if latest is None:
        raise RequestError("strategy", "unknown_strategy", "You have no such strategy.")
    if number is None or number == "":
        return latest
    try:
        if isinstance(number, bool | float):
            raise TypeError
        return versions.get(number=int(number))
    except (StrategyVersion.DoesNotExist, ValueError, TypeError, OverflowError):
        raise RequestError(
            "version",
            "unknown_version",
            f"{reprlib.repr(number)} is not a version of this strategy; the latest is {latest.number}.",
        ) from None


def _is_full(error: OperationalError) -> bool:
    """SQLite says so in words, PostgreSQL by a code."""
    return "full" in str(error) or getattr(error.__cause__, "sqlstate", "") == "53100"


def _check_size(request: RunRequest) -> None:
    n_fine = (request.to_ms - request.from_ms) // timeframe_to_ms(request.intrabar_timeframe or request.timeframe)
    n_bars = (max(request.n_bars, n_fine) + request.warmup_bars) * len(request.symbols)
    if n_bars > MAX_BARS:
        raise RequestError(
            "to",
            "too_many_bars",
            f"This run has {n_bars:,} bars; at most {MAX_BARS:,} are allowed. "
            "Shorten the span, name fewer symbols, or choose longer bars.",
        )


def _check_limits(request: RunRequest, limits: Limits) -> None:
    for name, asked in request.limits.items():
        if asked > (allowed := limits.allowed(name)):
            message = f"Your plan allows at most {allowed:,} ({name}); {asked:,} is more."
            raise RequestError(f"limits.{name}", "above_plan", message)


def _check_quota(user: User) -> None:
    # The lock makes two requests of one user count one after the other.
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    allowed = limits_of(user).max_queued_runs
    n_active = BacktestRun.objects.visible_to(user).active().count()
    if n_active >= allowed:
        raise RequestError(
            "",
            "too_many_runs",
            f"You have {n_active} runs that wait or run; at most {allowed} are allowed. Wait for one, or cancel one.",
        )
