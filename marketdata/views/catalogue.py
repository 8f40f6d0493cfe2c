"""What is held for everyone and for the reader alone."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.http import AuthedRequest
from marketdata.coverage import catalogue
from marketdata.defaults import load_fee_presets
from marketdata.filters import SeriesFilter
from marketdata.jobs.presentation import JobRow
from marketdata.models import IngestJob, Instrument, Series, Upload
from marketdata.presentation import SeriesRow, draw_strip
from marketdata.uploads.quota import measure_use

N_JOBS_SHOWN = 10
N_UPLOADS_SHOWN = 5


@login_required
@require_safe
def data_catalogue(request: AuthedRequest) -> HttpResponse:
    user = request.user
    visible = Series.objects.visible_to(user)
    found = SeriesFilter(request.GET, queryset=visible, request=request)
    coverages = catalogue(found.qs)
    rows = [SeriesRow(coverage, draw_strip(coverage)) for coverage in coverages]
    context = {
        "filter": found,
        "is_filtered": any(request.GET.get(name) for name in found.filters),
        "is_empty": not coverages and not visible.exists(),
        "rows": [row for row in rows if not row.coverage.is_private],
        "own_rows": [row for row in rows if row.coverage.is_private],
        "n_rows": sum(coverage.n_rows for coverage in coverages),
        "n_bytes": sum(coverage.n_bytes for coverage in coverages),
        "n_gaps": sum(len(coverage.gaps) for coverage in coverages),
        "n_series": len(coverages),
        "use": measure_use(user),
        "uploads": Upload.objects.visible_to(user)[:N_UPLOADS_SHOWN],
        "instruments": Instrument.objects.visible_to(user).prefetch_related("filter_sets", "margin_tier_sets"),
        "fee_presets": load_fee_presets(),
        "jobs": [JobRow(job) for job in IngestJob.objects.visible_to(user).defer("log", "outcome")[:N_JOBS_SHOWN]],
    }
    return render(request, "marketdata/data_catalogue.html", context)
