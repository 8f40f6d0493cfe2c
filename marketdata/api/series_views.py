"""Series in full, and a user's own candles, as JSON."""

from collections.abc import Mapping
from typing import Any, cast

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from accounts.api.errors import RefusalSerializer, Refused
from accounts.models import User
from marketdata.api.series_serializers import (
    RenameSerializer,
    SeriesDetailSerializer,
    SeriesSerializer,
    UploadRequestSerializer,
    UploadSerializer,
)
from marketdata.coverage import SeriesCoverage, catalogue
from marketdata.errors import UploadRefused
from marketdata.filters import SeriesFilter
from marketdata.models import Market, Segment, Series, SeriesKind, SeriesOrigin, Upload
from marketdata.uploads.service import delete_series, rename_symbol, request_upload, send

FILTERS = [
    OpenApiParameter("market", str, enum=Market.values),
    OpenApiParameter("symbol", str, description="A part of it."),
    OpenApiParameter("kind", str, enum=SeriesKind.values),
    OpenApiParameter("timeframe", str),
    OpenApiParameter("origin", str, enum=SeriesOrigin.values),
]
SHOWN = (
    *("market", "symbol", "kind", "timeframe", "origin", "is_private", "is_synthetic", "n_rows", "first_ms", "last_ms"),
    *("end_ms", "n_missing", "n_no_trade", "n_off_grid", "n_duplicates", "n_jumps", "n_bytes", "n_segments"),
    "revision",
)


@extend_schema(tags=["data"])
class SeriesListView(APIView):
    @extend_schema(
        operation_id="data_series_list",
        summary="What is held for everyone, and of your own",
        parameters=FILTERS,
        responses={200: SeriesSerializer(many=True), 400: RefusalSerializer},
    )
    def get(self, request: Request) -> Response:
        visible = Series.objects.visible_to(cast(User, request.user))
        found = SeriesFilter(request.query_params, queryset=visible, request=request)
        if not found.is_valid():
            field, problems = next(iter(found.errors.get_json_data().items()))
            raise Refused(field, problems[0]["code"], problems[0]["message"])
        return Response([_describe(coverage, request) for coverage in catalogue(found.qs)])


@extend_schema(tags=["data"])
class SeriesView(APIView):
    @extend_schema(
        operation_id="data_series_read",
        summary="One series with its gaps, files, revisions and quality",
        responses={200: SeriesDetailSerializer, 404: RefusalSerializer},
    )
    def get(self, request: Request, series_id: int) -> Response:
        visible = Series.objects.visible_to(cast(User, request.user)).filter(pk=series_id)
        coverages = catalogue(visible)
        if not coverages:
            raise Refused("", "not_found", "There is no such series, or it is not yours.", status.HTTP_404_NOT_FOUND)
        segments = Segment.objects.filter(series_id=series_id).order_by("month", "revision")
        return Response(
            {
                **_describe(coverages[0], request),
                "gaps": coverages[0].gaps,
                "segments": [_describe_segment(segment) for segment in segments],
            }
        )

    @extend_schema(
        operation_id="data_series_rename",
        summary="Give a series of your own another symbol",
        description="All series of the symbol are renamed. Runs keep the name that they were made with.",
        request=RenameSerializer,
        responses={200: SeriesSerializer, 400: RefusalSerializer, 404: RefusalSerializer},
    )
    def patch(self, request: Request, series_id: int) -> Response:
        series = self._find_own(request, series_id)
        try:
            rename_symbol(series, _read_text(request).get("symbol", ""))
        except UploadRefused as error:
            raise Refused(error.field, error.code, error.message) from error
        return Response(_describe(catalogue(Series.objects.filter(pk=series.pk))[0], request))

    @extend_schema(
        operation_id="data_series_delete",
        summary="Delete a series of your own",
        description="Results of runs that used it stay.",
        responses={204: None, 404: RefusalSerializer},
    )
    def delete(self, request: Request, series_id: int) -> Response:
        delete_series(self._find_own(request, series_id))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @staticmethod
    def _find_own(request: Request, series_id: int) -> Series:
        return get_object_or_404(Series.objects.owned_by(cast(User, request.user)), pk=series_id)


@extend_schema(tags=["data"])
class UploadListView(APIView):
    parser_classes = (MultiPartParser,)

    @extend_schema(
        operation_id="data_upload_list",
        summary="Your uploads, the newest first",
        responses={200: UploadSerializer(many=True)},
    )
    def get(self, request: Request) -> Response:
        Upload.objects.end_lost()
        uploads = Upload.objects.visible_to(cast(User, request.user))[:200]
        return Response(UploadSerializer(uploads, many=True).data)

    @extend_schema(
        operation_id="data_upload_create",
        summary="Upload candles of your own",
        request={"multipart/form-data": UploadRequestSerializer},
        responses={202: UploadSerializer, 400: RefusalSerializer},
    )
    def post(self, request: Request) -> Response:
        given, file = _read_text(request), request.FILES.get("file")
        is_too_large = getattr(request._request, "is_file_too_large", False)
        try:
            upload = request_upload(cast(User, request.user), given, file, is_too_large=is_too_large)
        except UploadRefused as error:
            raise Refused(error.field, error.code, error.message) from error
        response = Response(UploadSerializer(upload).data, status=status.HTTP_202_ACCEPTED)
        response["Location"] = reverse("api_data_upload", kwargs={"upload_id": upload.pk}, request=request)
        return response


@extend_schema(tags=["data"])
class UploadView(APIView):
    @extend_schema(
        operation_id="data_upload_read",
        summary="What became of an upload",
        responses={200: UploadSerializer, 404: RefusalSerializer},
    )
    def get(self, request: Request, upload_id: Any) -> Response:
        Upload.objects.end_lost()
        upload = get_object_or_404(Upload.objects.visible_to(cast(User, request.user)), pk=upload_id)
        if Upload.objects.unsent().filter(pk=upload.pk).exists():
            send(upload.pk)
        return Response(UploadSerializer(upload).data)


def _read_text(request: Request) -> dict[str, str]:
    """What was sent as an object of texts; files apart."""
    if not isinstance(request.data, Mapping):
        raise Refused("", "not_an_object", "Send one JSON object.")
    return {name: value for name, value in request.data.items() if isinstance(value, str)}


def _describe(coverage: SeriesCoverage, request: Request) -> dict[str, Any]:
    at = {"series_id": coverage.series_id}
    return {
        "id": coverage.series_id,
        **{name: getattr(coverage, name) for name in SHOWN},
        "n_gaps": len(coverage.gaps),
        "links": {
            "self": reverse("api_data_series", kwargs=at, request=request),
            "page": reverse("data_series", kwargs=at, request=request),
        },
    }


def _describe_segment(segment: Segment) -> dict[str, Any]:
    names = ("month", "revision", "is_current", "sha256", "n_rows", "first_ms", "last_ms", "n_bytes", "quality")
    return {
        **{name: getattr(segment, name) for name in names},
        "sources": segment.source_sha256s,
        "created_at": segment.created_at,
    }
