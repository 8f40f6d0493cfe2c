"""The first page: what Hindsight is, or what is running and what came out last."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.http import AuthedRequest, HtmxRequest, is_fragment
from accounts.models import User
from backtests import services
from backtests.data_checks import check_runs
from backtests.engine.errors import RequestError
from backtests.forms import choose_series, span_days, tradable_series
from backtests.models import BacktestRun
from backtests.presentation.runs import list_rows
from backtests.views.runs import places_of
from strategies.models import StrategyVersion, hash_source
from strategies.services import EXAMPLES, StrategyError, copy_example

SAMPLE = "sma_crossover"
N_LATEST = 10


@require_GET
def home(request: HtmxRequest) -> HttpResponse:
    """Landing for strangers, dashboard for users; its list polls while anything runs."""
    user = request.user
    if not user.is_authenticated:
        return render(request, "backtests/home_landing.html")
    runs = BacktestRun.objects.visible_to(user).select_related("strategy_version__strategy")
    unfinished = runs.active().order_by("created_at")
    active = list_rows(unfinished, places=places_of(unfinished))
    latest = runs.finished()[:N_LATEST]
    context = {
        "active": active,
        "latest": list_rows(latest, check_runs(latest)),
        "n_finished": runs.finished().count(),
        "has_data": bool(tradable_series(user)),
        "poll_s": 1 if any(row.is_running for row in active) else 2,
    }
    part = "backtests/_home_runs.html" if is_fragment(request) else "backtests/home_dashboard.html"
    return render(request, part, context)


@login_required
@require_POST
def run_sample(request: AuthedRequest) -> HttpResponse:
    """Copy the sample strategy (once), start it on the best held series, open its live page."""
    series = choose_series(tradable_series(request.user), {})
    if series is None:
        messages.error(request, "There are no candles yet. An operator can import or fetch them; see Market data.")
        return redirect("home")
    first, last = span_days(series)
    wanted = {
        "market": series.market,
        "symbol": series.symbol,
        "timeframe": series.timeframe,
        "from": first,
        "to": last,
    }
    try:
        version = _find_or_copy_sample(request.user)
        run = services.request_run(request.user, wanted, strategy_version=version)
    except (RequestError, StrategyError) as error:
        messages.error(request, str(error))
        return redirect("home")
    return redirect("run_detail", run_id=run.pk)


def _find_or_copy_sample(user: User) -> StrategyVersion:
    source = next(example.source for example in EXAMPLES if example.slug == SAMPLE)
    versions = StrategyVersion.objects.visible_to(user).filter(strategy__archived_at=None, sha256=hash_source(source))
    return versions.order_by("created_at").first() or copy_example(user, SAMPLE)
