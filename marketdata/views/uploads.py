"""A user's own candles: hand over a file, and see what becomes of it."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from accounts.http import AuthedRequest, is_fragment
from marketdata.errors import UploadRefused
from marketdata.forms import UploadForm
from marketdata.models import Upload
from marketdata.uploads.quota import measure_use
from marketdata.uploads.service import request_upload, send


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def data_upload(request: AuthedRequest) -> HttpResponse:
    """GET: the form. POST: keep the file and queue it, or show why not (422)."""
    form = UploadForm(request.user, request.POST if request.method == "POST" else None, initial=request.GET.dict())
    if request.method == "POST":
        file, is_too_large = request.FILES.get("file"), getattr(request, "is_file_too_large", False)
        try:
            upload = request_upload(request.user, request.POST.dict(), file, is_too_large=is_too_large)
            return redirect("data_upload_status", upload_id=upload.pk)
        except UploadRefused as error:
            form.add_refusal(error)
    context = {"form": form, "use": measure_use(request.user)}
    return render(request, "marketdata/data_upload.html", context, status=422 if request.method == "POST" else 200)


@never_cache
@login_required
@require_GET
def data_upload_status(request: AuthedRequest, upload_id: str) -> HttpResponse:
    """What became of an upload; polls while it is not finished, and says so when it is."""
    Upload.objects.end_lost()
    uploads = Upload.objects.visible_to(request.user).select_related("series__instrument")
    upload = get_object_or_404(uploads, pk=upload_id)
    if Upload.objects.unsent().filter(pk=upload.pk).exists():
        send(upload.pk)
    part = "marketdata/_data_upload.html" if is_fragment(request) else "marketdata/data_upload_status.html"
    return render(request, part, {"upload": upload, "report": upload.report, "log": upload.log.splitlines()})
