"""What staff look at: the pools of workers, what holds strategies there, and what waits."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.http import AuthedRequest, is_fragment, staff_only
from backtests.models import BacktestRun, VersionCheck, WorkerPool
from backtests.presentation.operations import list_pools
from marketdata.jobs.dispatch import count_busy_workers


@never_cache
@staff_only
@require_GET
def operations(request: AuthedRequest) -> HttpResponse:
    pools = list_pools(WorkerPool.objects.alive())
    runs = BacktestRun.objects.active()
    context = {
        "pools": pools,
        "n_workers": sum(pool.n_workers for pool in pools),
        "n_running": runs.filter(status=BacktestRun.Status.RUNNING).count(),
        "n_queued": runs.filter(status=BacktestRun.Status.QUEUED).count(),
        "n_candle_jobs": count_busy_workers(),
        "n_checks": VersionCheck.objects.in_flight().count(),
    }
    template = "backtests/_operations_state.html" if is_fragment(request) else "backtests/operations.html"
    return render(request, template, context)
