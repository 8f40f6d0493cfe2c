"""The page of one series: what is held of it, its chart, its rows as a file; and what its owner may do with it."""

import hashlib
import json

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseNotModified, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from accounts.http import AuthedRequest
from marketdata.coverage import catalogue
from marketdata.download import DownloadRefused, write_rows
from marketdata.errors import UploadRefused
from marketdata.forms import RenameForm
from marketdata.models import Series
from marketdata.presentation import SeriesRow, draw_strip, list_gaps, list_jumps, tabulate_months
from marketdata.preview import PREVIEW_VERSION, View, draw_series
from marketdata.store import StoreError
from marketdata.uploads.service import delete_series, rename_symbol

MAX_GAPS_LISTED = 200


@login_required
@require_safe
def data_series(request: AuthedRequest, series_id: int) -> HttpResponse:
    series = _find_series(request, series_id)
    coverages = catalogue(Series.objects.filter(pk=series.pk))
    coverage = coverages[0] if coverages else None
    current = [segment for segment in series.segments.order_by("month") if segment.is_current]
    context = {
        "series": series,
        "row": SeriesRow(coverage, draw_strip(coverage)) if coverage else None,
        "gaps": list_gaps(coverage, MAX_GAPS_LISTED) if coverage else [],
        "years": tabulate_months(coverage, current) if coverage else [],
        "jumps": list_jumps(current),
        "preview_version": PREVIEW_VERSION,
        "segments": series.segments.order_by("-month", "-revision"),
        "instrument": series.instrument,
        "filter_sets": series.instrument.filter_sets.all(),
        "tier_sets": series.instrument.margin_tier_sets.all(),
    }
    return render(request, "marketdata/data_series.html", context)


@login_required
@require_GET
def data_chart(request: AuthedRequest, series_id: int) -> HttpResponse:
    """The figure of a span: ?from&to (UTC ms, half-open) &px."""
    series = _find_series(request, series_id)
    coverages = catalogue(Series.objects.filter(pk=series.pk))
    if not coverages:
        return JsonResponse({"code": "nothing_held", "message": "Nothing is held of this series."}, status=404)
    coverage = coverages[0]
    view = _read_view(request, coverage.first_ms, coverage.end_ms)
    etag = f'"{hashlib.sha256(f"{PREVIEW_VERSION} {coverage.revision} {view}".encode()).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if request.headers.get("If-None-Match") == etag:
        return HttpResponseNotModified(headers=headers)
    try:
        text = json.dumps(draw_series(series, view), separators=(",", ":"), allow_nan=False)
    except StoreError as error:
        return JsonResponse({"code": "data_damaged", "message": str(error)}, status=409)
    return HttpResponse(text, content_type="application/json", headers=headers)


@login_required
@require_GET
def data_rows(request: AuthedRequest, series_id: int) -> HttpResponse:
    """The rows of ?from&to (days or ISO times, half-open) as a file, ?format=csv or parquet."""
    series = _find_series(request, series_id)
    given = {name: request.GET.get(name, "") for name in ("from", "to", "format")}
    try:
        rows = write_rows(series, given["from"], given["to"], given["format"] or "csv")
    except DownloadRefused as error:
        messages.error(request, str(error))
        return redirect("data_series", series_id=series_id)
    response = HttpResponse(rows.data, content_type=rows.content_type)
    response["Content-Disposition"] = f'attachment; filename="{rows.name}"'
    return response


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def data_rename(request: AuthedRequest, series_id: int) -> HttpResponse:
    series = get_object_or_404(Series.objects.owned_by(request.user).select_related("instrument"), pk=series_id)
    form = RenameForm(request.user, request.POST or None, initial={"symbol": series.instrument.symbol})
    if request.method == "POST":
        try:
            rename_symbol(series, request.POST.get("symbol", ""))
            return redirect("data_series", series_id=series_id)
        except UploadRefused as error:
            form.add_refusal(error)
    status = 422 if request.method == "POST" else 200
    return render(request, "marketdata/data_rename.html", {"form": form, "series": series}, status=status)


@login_required
@require_POST
def data_delete(request: AuthedRequest, series_id: int) -> HttpResponse:
    series = get_object_or_404(Series.objects.owned_by(request.user), pk=series_id)
    name = str(series)
    delete_series(series)
    messages.success(request, f"{name} is deleted. Results of runs that used it stay.")
    return redirect("data_catalogue")


def _find_series(request: AuthedRequest, series_id: int) -> Series:
    return get_object_or_404(Series.objects.visible_to(request.user).select_related("instrument"), pk=series_id)


def _read_view(request: AuthedRequest, first_ms: int, end_ms: int) -> View:
    """Nonsense in the address means the whole span."""

    def read(name: str, default: int) -> int:
        try:
            return round(float(request.GET.get(name, default)))
        except (ValueError, OverflowError):
            return default

    from_ms = max(first_ms, min(read("from", first_ms), end_ms))
    to_ms = max(first_ms, min(read("to", end_ms), end_ms))
    if to_ms - from_ms < 60_000:
        from_ms, to_ms = first_ms, end_ms
    return View(from_ms, to_ms, max(200, min(read("px", 1_200), 4_000)))
