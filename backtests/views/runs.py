"""Lists of runs, the form for a new one, and what can be done with one: watch, cancel, delete."""

import datetime as dt
import uuid
from collections.abc import Iterable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRefresh

from accounts.http import AuthedRequest, is_fragment
from backtests import services
from backtests.data_checks import check_runs
from backtests.engine.errors import RequestError
from backtests.forms import RunForm, filter_runs
from backtests.models import BacktestRun, WorkerPool
from backtests.operations.line import find_places, is_at_limit
from backtests.presentation.live import live_state
from backtests.presentation.runs import list_rows, run_row
from strategies.models import Strategy

PAGE_SIZE = 25
MAX_LATEST = 100
YOUNG = dt.timedelta(seconds=5)
NEW_RUN = "backtests/run_new.html"


@login_required
@require_GET
def run_list(request: AuthedRequest) -> HttpResponse:
    runs = BacktestRun.objects.visible_to(request.user).select_related("strategy_version__strategy")
    found = filter_runs(request, runs)
    page = Paginator(found.qs, PAGE_SIZE).get_page(request.GET.get("page"))
    rows = list_rows(page.object_list, check_runs(page.object_list), places_of(page.object_list))
    context = {
        "filter": found,
        "page": page,
        "rows": rows,
        "strategies": Strategy.objects.visible_to(request.user).order_by("name"),
        "is_polling": any(not row.run.is_finished for row in rows),
        "has_runs": bool(rows) or runs.exists(),
    }
    return render(request, "backtests/_run_rows.html" if is_fragment(request) else "backtests/run_list.html", context)


@login_required
@require_GET
def run_latest(request: AuthedRequest) -> HttpResponse:
    """The last result of each strategy (?strategy=id, repeated) for the places that the list of strategies keeps."""
    wanted = [found for word in request.GET.getlist("strategy")[:MAX_LATEST] if (found := read_uuid(word))]
    runs = BacktestRun.objects.visible_to(request.user).filter(strategy_version__strategy__in=wanted)
    latest = runs.latest_of_each_strategy().select_related("strategy_version__strategy")
    return render(request, "backtests/_run_latest.html", {"rows": list_rows(latest)})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def run_new(request: AuthedRequest) -> HttpResponse:
    """GET: the form with defaults, or redrawn after a choice. POST: queue the run, or show why not (422)."""
    if request.method != "POST":
        form = RunForm(request.user, request.GET.dict())
        return render(request, "backtests/_run_form.html" if is_fragment(request) else NEW_RUN, {"form": form})
    form = RunForm(request.user, request.POST.dict(), is_submitted=True)
    run = form.submit()
    if run is None:
        return render(request, NEW_RUN, {"form": form}, status=422)
    return redirect("run_detail", run_id=run.pk)


@never_cache
@login_required
@require_GET
def run_live(request: AuthedRequest, run_id: str) -> HttpResponse:
    """The state of a run as a fragment. Of a finished run: no trigger, and the whole page is asked for anew."""
    run = _find_run(request, run_id)
    response = render(request, "backtests/_run_live.html", live_context(run))
    if run.is_finished:
        response["HX-Refresh"] = "true"
    return response


@login_required
@require_POST
def run_cancel(request: AuthedRequest, run_id: str) -> HttpResponse:
    run = _find_run(request, run_id)
    if not services.cancel_run(run) and run.is_finished:
        messages.info(request, "The run had finished before it could be cancelled.")
    run.refresh_from_db()
    if is_fragment(request):
        if run.is_finished:
            return HttpResponseClientRefresh()
        return render(request, "backtests/_run_live.html", live_context(run))
    return redirect("run_detail", run_id=run.pk)


@login_required
@require_POST
def run_delete(request: AuthedRequest, run_id: str) -> HttpResponse:
    run = _find_run(request, run_id)
    try:
        services.delete_run(run)
    except RequestError as error:
        messages.error(request, error.message)
        return redirect("run_detail", run_id=run_id)
    messages.success(request, "The run and its result files are deleted.")
    return redirect("run_list")


@login_required
@require_POST
def run_again(request: AuthedRequest, run_id: str) -> HttpResponse:
    """The same request once more, on the candles that are held now."""
    run = _find_run(request, run_id)
    try:
        new = services.request_again(request.user, run)
    except RequestError as error:
        messages.error(request, error.message)
        return redirect("run_detail", run_id=run_id)
    return redirect("run_detail", run_id=new.pk)


def live_context(run: BacktestRun) -> dict[str, object]:
    waits = run.status == BacktestRun.Status.QUEUED
    is_held, are_getting_ready = waits and is_at_limit(run.owner), waits and WorkerPool.objects.are_getting_ready()
    live = live_state(run, places_of([run]).get(run.pk), is_held=is_held, are_getting_ready=are_getting_ready)
    return {"run": run, "row": run_row(run), "live": live, "poll": choose_poll(run, timezone.now())}


def choose_poll(run: BacktestRun, now: dt.datetime) -> str:
    """How long the page waits before it asks again: most runs end within moments of their request or their start."""
    if now - (run.started_at or run.created_at) < YOUNG:
        return "250ms"
    return "1s" if run.status == BacktestRun.Status.RUNNING else "2s"


def places_of(runs: Iterable[BacktestRun]) -> dict[uuid.UUID, int]:
    """Where runs stand in the line; the line is only read when one of them does."""
    return find_places() if any(run.status == BacktestRun.Status.QUEUED for run in runs) else {}


def _find_run(request: AuthedRequest, run_id: str) -> BacktestRun:
    runs = BacktestRun.objects.visible_to(request.user).select_related("strategy_version__strategy")
    return get_object_or_404(runs, pk=run_id)


def read_uuid(word: str) -> uuid.UUID | None:
    """None for what is no UUID."""
    try:
        return uuid.UUID(word)
    except ValueError:
        return None
