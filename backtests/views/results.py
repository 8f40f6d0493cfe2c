"""The page of one run: live while it runs, then its error or its result; its tables, files and chart."""

import csv
import hashlib
import json
from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, HttpResponseNotModified, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.http import AuthedRequest
from backtests.artifacts import ArtifactError
from backtests.charts import CHART_VERSION, ChartView, draw_run
from backtests.data_checks import check_run
from backtests.models import BacktestRun
from backtests.presentation import facts, figures, orders, tables
from backtests.presentation.limits import say_limits
from backtests.presentation.numbers import format_seconds, format_time
from backtests.presentation.runs import FAILURE_WORDS, run_row
from backtests.reports import load_bars, load_kept_report, load_report
from backtests.run_report import RunReport
from backtests.views.runs import live_context
from marketdata.store import StoreError

TABS = (
    ("overview", "Overview"),
    ("trades", "Trades"),
    ("orders", "Orders"),
    ("metrics", "Metrics"),
    ("log", "Log"),
    ("code", "Code"),
    ("reproducibility", "Reproducibility"),
)
PAGE_SIZE = 50
YEAR_S = 31_536_000


@never_cache
@login_required
@require_GET
def run_detail(request: AuthedRequest, run_id: str) -> HttpResponse:
    run = _find_run(request, run_id)
    if not run.is_finished:
        return render(request, "backtests/run_live.html", live_context(run))
    if run.status != BacktestRun.Status.SUCCEEDED:
        return render(request, "backtests/run_failed.html", _failure_context(run))
    context: dict[str, Any] = {"run": run, "row": run_row(run, check_run(run)), "tabs": TABS}
    try:
        report = load_report(run)
    except ArtifactError as error:
        return render(request, "backtests/run_missing.html", {**context, "error": error})
    tab = request.GET.get("tab", "")
    tab = tab if tab in dict(TABS) else "overview"
    context |= {
        "tab": tab,
        "tab_template": f"backtests/_run_{tab}.html",
        "report": report,
        "strip": figures.strip_figures(report),
        "assumptions": facts.list_assumptions(report),
        "n_trades": sum(report.metrics[name].value or 0 for name in ("total_trades", "open_trades")),
        **_TAB_CONTEXTS[tab](request, run, report),
    }
    return render(request, "backtests/run_result.html", context)


@login_required
@require_GET
def run_trades(request: AuthedRequest, run_id: str) -> HttpResponse:
    """The trade table as a fragment, or all of it as CSV (?format=csv)."""
    run, report = _find_report(request, run_id)
    if request.GET.get("format") == "csv":
        return _csv_response(report.tables["trades"], report, f"trades-{run.pk}.csv")
    return render(request, "backtests/_run_trades.html", {"run": run, **_trades_context(request, run, report)})


@login_required
@require_GET
def run_orders(request: AuthedRequest, run_id: str) -> HttpResponse:
    run, report = _find_report(request, run_id)
    if request.GET.get("format") == "csv":
        return _csv_response(report.tables["orders"], report, f"orders-{run.pk}.csv")
    return render(request, "backtests/_run_orders.html", {"run": run, **_orders_context(request, run, report)})


@login_required
@require_GET
def run_chart(request: AuthedRequest, run_id: str) -> HttpResponse:
    """The figure of a span: ?from&to (UTC ms, half-open) &px. A finished run never changes, so browsers keep it."""
    run, report = _find_report(request, run_id, load_kept_report)
    view = _read_view(request, report)
    etag = f'"{hashlib.sha256(f"{CHART_VERSION} {run.result_hash} {view}".encode()).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": f"private, max-age={YEAR_S}, immutable"}
    if request.headers.get("If-None-Match") == etag:
        return HttpResponseNotModified(headers=headers)
    try:
        bars = load_bars(report)
    except StoreError as error:
        return JsonResponse({"code": "data_error", "message": str(error)}, status=409)
    text = json.dumps(draw_run(report, bars, view), separators=(",", ":"))
    return HttpResponse(text, content_type="application/json", headers=headers)


def _find_run(request: AuthedRequest, run_id: str) -> BacktestRun:
    runs = BacktestRun.objects.visible_to(request.user).select_related("strategy_version__strategy")
    return get_object_or_404(runs, pk=run_id)


def _find_report(
    request: AuthedRequest, run_id: str, load: Callable[[BacktestRun], RunReport] = load_report
) -> tuple[BacktestRun, RunReport]:
    """404 for a run without a result, too."""
    run = _find_run(request, run_id)
    if run.status != BacktestRun.Status.SUCCEEDED:
        raise Http404("This run has no result.")
    try:
        return run, load(run)
    except ArtifactError as error:
        raise Http404(str(error)) from error


def _read_view(request: AuthedRequest, report: RunReport) -> ChartView:
    """Nonsense in the address means the whole span."""

    def read(name: str, default: int) -> int:
        try:
            return round(float(request.GET.get(name, default)))
        except (ValueError, OverflowError):
            return default

    first, last = report.request.from_ms, report.request.to_ms
    from_ms = max(first, min(read("from", first), last))
    to_ms = max(first, min(read("to", last), last))
    if to_ms - from_ms < report.request.timeframe_ms:
        from_ms, to_ms = first, last
    return ChartView(from_ms, to_ms, max(200, min(read("px", 1_200), 4_000)))


def _failure_context(run: BacktestRun) -> dict[str, Any]:
    failure = run.failure or {}
    return {
        "run": run,
        "row": run_row(run, check_run(run)),
        "failure": failure,
        "title": FAILURE_WORDS.get(run.failure_code, "The run failed"),
        "duration": format_seconds((run.finished_at - run.started_at).total_seconds())
        if run.started_at and run.finished_at
        else "",
        "bar_time": format_time(failure.get("bar_time_ms")),
        "limits": say_limits(run.request.get("limits", {})),
        "log_tail": failure.get("log_tail") or run.progress.get("log_tail") or [],
    }


def _overview_context(request: AuthedRequest, run: BacktestRun, report: RunReport) -> dict[str, Any]:
    said_above = ("ruined", "synthetic")  # as notices of their own, over the figures of every tab
    return {
        "notices": [warning for warning in report.warnings if warning.code not in said_above],
        "years": figures.month_table(report),
        "months": figures.MONTHS,
        "chart_version": CHART_VERSION,
    }


def _trades_context(request: AuthedRequest, run: BacktestRun, report: RunReport) -> dict[str, Any]:
    sort = request.GET.get("sort", "number")
    ambiguous = tables.ambiguous_trades(report.tables["trades"])
    is_ambiguous_only = request.GET.get("only") == "ambiguous"
    trades = tables.sort_trades(ambiguous if is_ambiguous_only else report.tables["trades"], sort)
    page = Paginator(trades, PAGE_SIZE).get_page(request.GET.get("page"))
    return {
        "page": page,
        "rows": tables.trade_rows(page.object_list, report),
        "sort": sort,
        "n_ambiguous": len(ambiguous),
        "is_ambiguous_only": is_ambiguous_only,
        "has_symbols": len(report.request.symbols) > 1,
    }


def _orders_context(request: AuthedRequest, run: BacktestRun, report: RunReport) -> dict[str, Any]:
    fate = request.GET.get("status", "")
    table = report.tables["orders"]
    page = Paginator(orders.choose_orders(table, fate), PAGE_SIZE).get_page(request.GET.get("page"))
    return {
        "page": page,
        "rows": orders.order_rows(page.object_list, report),
        "reasons": orders.count_reasons(table),
        "fates": orders.list_fates(table),
        "fate": fate if fate in orders.FATES else "",
        "n_orders": len(table),
        "has_symbols": len(report.request.symbols) > 1,
    }


def _metrics_context(request: AuthedRequest, run: BacktestRun, report: RunReport) -> dict[str, Any]:
    return {"groups": figures.group_figures(report)}


def _log_context(request: AuthedRequest, run: BacktestRun, report: RunReport) -> dict[str, Any]:
    lines = [(format_time(line.time_ms) if line.time_ms else "", line.level, line.text) for line in report.log]
    return {"lines": lines}


def _code_context(request: AuthedRequest, run: BacktestRun, report: RunReport) -> dict[str, Any]:
    return {"source": report.strategy.source}


def _reproducibility_context(request: AuthedRequest, run: BacktestRun, report: RunReport) -> dict[str, Any]:
    return {
        "command": facts.write_command(report),
        "fact_groups": (
            ("Run", facts.list_run_facts(report)),
            ("Data and rules", facts.list_data_facts(report)),
            ("Result", facts.list_result_facts(report)),
        ),
    }


_TAB_CONTEXTS: dict[str, Callable[[AuthedRequest, BacktestRun, RunReport], dict[str, Any]]] = {
    "overview": _overview_context,
    "trades": _trades_context,
    "orders": _orders_context,
    "metrics": _metrics_context,
    "log": _log_context,
    "code": _code_context,
    "reproducibility": _reproducibility_context,
}


def _csv_response(rows: Any, report: RunReport, name: str) -> HttpResponse:
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    writer = csv.writer(response)
    columns, records = tables.to_records(rows, report)
    writer.writerow(columns)
    writer.writerows(records)
    return response
