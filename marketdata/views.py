"""Pages of market data: what is held for everyone and for the reader alone, and one series in full."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from accounts.http import AuthedRequest
from marketdata.coverage import catalogue
from marketdata.defaults import load_fee_presets
from marketdata.models import IngestJob, Instrument, Series
from marketdata.presentation import GapRow, SeriesRow, draw_strip, to_datetime

MAX_GAPS_LISTED = 200
N_JOBS_SHOWN = 10


@login_required
@require_safe
def data_catalogue(request: AuthedRequest) -> HttpResponse:
    coverages = catalogue(Series.objects.visible_to(request.user))
    context = {
        "rows": [SeriesRow(coverage, draw_strip(coverage)) for coverage in coverages],
        "n_rows": sum(coverage.n_rows for coverage in coverages),
        "n_bytes": sum(coverage.n_bytes for coverage in coverages),
        "n_gaps": sum(len(coverage.gaps) for coverage in coverages),
        "instruments": Instrument.objects.visible_to(request.user).prefetch_related("filter_sets", "margin_tier_sets"),
        "fee_presets": load_fee_presets(),
        "jobs": IngestJob.objects.select_related("requested_by")[:N_JOBS_SHOWN] if request.user.is_staff else [],
    }
    return render(request, "marketdata/data_catalogue.html", context)


@login_required
@require_safe
def data_series(request: AuthedRequest, series_id: int) -> HttpResponse:
    series = get_object_or_404(Series.objects.visible_to(request.user).select_related("instrument"), pk=series_id)
    coverages = catalogue(Series.objects.filter(pk=series.pk))
    gaps = coverages[0].gaps if coverages else ()
    context = {
        "series": series,
        "row": SeriesRow(coverages[0], draw_strip(coverages[0])) if coverages else None,
        "gaps": [GapRow(to_datetime(from_ms), to_datetime(to_ms)) for from_ms, to_ms in gaps[-MAX_GAPS_LISTED:][::-1]],
        "segments": series.segments.order_by("-month", "-revision"),
        "instrument": series.instrument,
        "filter_sets": series.instrument.filter_sets.all(),
        "tier_sets": series.instrument.margin_tier_sets.all(),
    }
    return render(request, "marketdata/data_series.html", context)
