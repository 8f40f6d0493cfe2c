"""Pages of staff: fetch candles from the archive, and look after the jobs that do. Others get 404.

The view `job` answers htmx with the part of the page that changes.
"""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRefresh

from accounts.http import AuthedRequest, is_fragment, staff_only
from marketdata.fetch.errors import FetchRefused
from marketdata.jobs.forms import FetchForm
from marketdata.jobs.presentation import JobRow
from marketdata.jobs.service import cancel_job, preview_fetch, request_extension, request_fetch, resume_job
from marketdata.models import IngestJob

PAGE_SIZE = 25


@staff_only
@require_http_methods(["GET", "HEAD", "POST"])
def fetch(request: AuthedRequest) -> HttpResponse:
    """GET: the form, filled by the query. POST: the plan of it; with `start`, a job that carries it out."""
    is_post = request.method == "POST"
    given = request.GET.dict()
    form = FetchForm(request.POST if is_post else None, initial={"symbols": given.get("symbol", ""), **given})
    if not is_post or not form.is_valid():
        status = 422 if is_post else 200
        return _render_fetch(request, {"form": form}, status)
    if "start" not in request.POST:
        return _render_fetch(request, {"form": form, "preview": preview_fetch(form.fetch_request)})
    try:
        job = request_fetch(request.user, form.cleaned_data)
    except FetchRefused as error:
        form.add_error(error.field or None, error.message)
        return _render_fetch(request, {"form": form}, 422)
    return redirect("marketdata:job", job_id=job.pk)


def _render_fetch(request: AuthedRequest, context: dict[str, Any], status: int = 200) -> HttpResponse:
    template = "marketdata/_fetch_form.html" if is_fragment(request) else "marketdata/fetch.html"
    return render(request, template, context, status=status)


@staff_only
@require_POST
def extend(request: AuthedRequest) -> HttpResponse:
    """Extend what is held to the newest files, as the daily schedule does."""
    job = request_extension(request.user)
    if job is None:
        messages.info(request, "There is nothing to extend, or an extension is under way.")
        return redirect("marketdata:job-list")
    return redirect("marketdata:job", job_id=job.pk)


@never_cache
@staff_only
@require_GET
def job_list(request: AuthedRequest) -> HttpResponse:
    jobs = IngestJob.objects.visible_to(request.user).select_related("requested_by").defer("log", "outcome")
    page = Paginator(jobs, PAGE_SIZE).get_page(request.GET.get("page"))
    rows = [JobRow(job) for job in page.object_list]
    context = {"rows": rows, "page": page, "is_polling": any(not row.job.is_finished for row in rows)}
    return render(request, "marketdata/_job_rows.html" if is_fragment(request) else "marketdata/job_list.html", context)


@never_cache
@staff_only
@require_GET
def job(request: AuthedRequest, job_id: str) -> HttpResponse:
    found = _find_job(request, job_id)
    fragment = is_fragment(request)
    context = {"job": found, "row": JobRow(found)}
    response = render(request, "marketdata/_job_live.html" if fragment else "marketdata/job.html", context)
    if fragment and found.is_finished:
        response["HX-Refresh"] = "true"
    return response


@staff_only
@require_POST
def job_cancel(request: AuthedRequest, job_id: str) -> HttpResponse:
    found = _find_job(request, job_id)
    if not cancel_job(found) and found.is_finished:
        messages.info(request, "The job had finished before it could be cancelled.")
    found.refresh_from_db()
    if is_fragment(request):
        if found.is_finished:
            return HttpResponseClientRefresh()
        return render(request, "marketdata/_job_live.html", {"job": found, "row": JobRow(found)})
    return redirect("marketdata:job", job_id=found.pk)


@staff_only
@require_POST
def job_resume(request: AuthedRequest, job_id: str) -> HttpResponse:
    found = _find_job(request, job_id)
    if not resume_job(found):
        messages.info(request, "This job cannot be resumed: it is not one that failed or was cancelled.")
    return redirect("marketdata:job", job_id=found.pk)


def _find_job(request: AuthedRequest, job_id: str) -> IngestJob:
    return get_object_or_404(IngestJob.objects.visible_to(request.user).select_related("requested_by"), pk=job_id)
