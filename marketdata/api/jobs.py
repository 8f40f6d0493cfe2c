"""Ingest jobs over HTTP, for staff: the same services and refusals as the pages."""

from collections.abc import Mapping
from typing import Any, cast

from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from accounts.api.errors import RefusalSerializer, Refused
from accounts.models import User
from marketdata.api.job_serializers import (
    FetchRequestSerializer,
    IngestJobDetailSerializer,
    IngestJobSerializer,
    PlanSerializer,
)
from marketdata.fetch.errors import FetchRefused
from marketdata.ingest_job import IngestJobQuerySet
from marketdata.jobs.service import cancel_job, parse_request, preview_fetch, request_fetch, resume_job
from marketdata.models import IngestJob


class StaffAPIView(APIView):
    """For those who are not staff these addresses lead nowhere."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not request.user.is_staff:
            raise Http404

    def jobs(self) -> IngestJobQuerySet:
        user = self.request.user
        if not user.is_authenticated:  # only while the schema is drawn
            return IngestJob.objects.none()
        return IngestJob.objects.visible_to(user).select_related("requested_by")

    def find_job(self, job_id: Any) -> IngestJob:
        return get_object_or_404(self.jobs(), pk=job_id)

    def show(self, job: IngestJob, status_code: int = status.HTTP_200_OK) -> Response:
        response = Response(IngestJobDetailSerializer(job).data, status=status_code)
        if status_code == status.HTTP_201_CREATED:
            response["Location"] = reverse("api_ingest_job", kwargs={"job_id": job.pk}, request=self.request)
        return response


@extend_schema_view(get=extend_schema(operation_id="ingest_job_list", summary="Jobs, the newest first; staff only"))
@extend_schema(tags=["ingest jobs"])
class IngestJobListView(StaffAPIView, ListAPIView[IngestJob]):
    serializer_class = IngestJobSerializer

    def get_queryset(self) -> IngestJobQuerySet:
        return self.jobs().defer("log", "outcome")

    @extend_schema(
        operation_id="ingest_job_create",
        summary="Fetch candles from the exchange's archive; staff only",
        request=FetchRequestSerializer,
        responses={201: IngestJobDetailSerializer, 400: RefusalSerializer, 404: RefusalSerializer},
    )
    def post(self, request: Request) -> Response:
        try:
            job = request_fetch(cast(User, request.user), _read_object(request))
        except FetchRefused as error:
            raise Refused(error.field, error.code, error.message) from error
        return self.show(job, status.HTTP_201_CREATED)


@extend_schema(tags=["ingest jobs"])
class FetchPlanView(StaffAPIView):
    @extend_schema(
        operation_id="ingest_job_plan",
        summary="What a fetch would do; nothing is fetched; staff only",
        request=FetchRequestSerializer,
        responses={200: PlanSerializer, 400: RefusalSerializer, 404: RefusalSerializer, 502: RefusalSerializer},
    )
    def post(self, request: Request) -> Response:
        try:
            preview = preview_fetch(parse_request(_read_object(request)))
        except FetchRefused as error:
            raise Refused(error.field, error.code, error.message) from error
        if preview.problem:
            raise Refused("", "no_answer", preview.problem, status.HTTP_502_BAD_GATEWAY)
        return Response(PlanSerializer(preview).data)


@extend_schema(tags=["ingest jobs"])
class IngestJobView(StaffAPIView):
    @extend_schema(
        operation_id="ingest_job_read",
        summary="One job with its log; staff only",
        responses={200: IngestJobDetailSerializer, 404: RefusalSerializer},
    )
    def get(self, request: Request, job_id: Any) -> Response:
        return self.show(self.find_job(job_id))


@extend_schema(tags=["ingest jobs"])
class IngestJobCancelView(StaffAPIView):
    @extend_schema(
        operation_id="ingest_job_cancel",
        summary="Ask for the end of a job; staff only",
        description="A queued job is cancelled at once, a running one within about a second. Asking twice is fine.",
        request=None,
        responses={202: IngestJobDetailSerializer, 404: RefusalSerializer, 409: RefusalSerializer},
    )
    def post(self, request: Request, job_id: Any) -> Response:
        job = self.find_job(job_id)
        was_asked = cancel_job(job)
        job.refresh_from_db()
        if job.is_finished and not was_asked:
            raise Refused("", "job_finished", f"This job has already {job.status}.", status.HTTP_409_CONFLICT)
        return self.show(job, status.HTTP_202_ACCEPTED)


@extend_schema(tags=["ingest jobs"])
class IngestJobResumeView(StaffAPIView):
    @extend_schema(
        operation_id="ingest_job_resume",
        summary="Queue a failed or cancelled fetch again; staff only",
        description="What was taken in before is not fetched again.",
        request=None,
        responses={202: IngestJobDetailSerializer, 404: RefusalSerializer, 409: RefusalSerializer},
    )
    def post(self, request: Request, job_id: Any) -> Response:
        job = self.find_job(job_id)
        if not resume_job(job):
            text = "Only a fetch that failed or was cancelled can be resumed."
            raise Refused("", "not_resumable", text, status.HTTP_409_CONFLICT)
        job.refresh_from_db()
        return self.show(job, status.HTTP_202_ACCEPTED)


def _read_object(request: Request) -> Mapping[str, Any]:
    data = request.data
    if not isinstance(data, Mapping):
        raise Refused("", "not_an_object", "Send one JSON object.")
    return cast(Mapping[str, Any], data.dict() if hasattr(data, "dict") else data)
