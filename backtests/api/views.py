"""Runs over HTTP. Same services, same summary and same refusals as the pages."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from accounts.api.errors import RefusalSerializer, Refused
from accounts.models import User
from backtests import services
from backtests.api.serializers import (
    EquityPageSerializer,
    MetricSerializer,
    OrderPageSerializer,
    RunRequestSerializer,
    RunSerializer,
    TradePageSerializer,
)
from backtests.artifacts import ArtifactError
from backtests.engine.errors import RequestError
from backtests.engine.metrics import METRICS
from backtests.forms import RunFilter
from backtests.models import BacktestRun, BacktestRunQuerySet
from backtests.presentation.orders import FATES, choose_orders
from backtests.presentation.tables import to_records
from backtests.reports import load_report
from backtests.run_report import Rows, RunReport

MAX_PAGE = 10_000


class RunPagination(LimitOffsetPagination):
    default_limit = 50
    max_limit = 500


class RowPagination(LimitOffsetPagination):
    default_limit = 1_000
    max_limit = MAX_PAGE


class RunAPIView(APIView):
    def runs(self) -> BacktestRunQuerySet:
        """The caller's own runs: strangers get 404."""
        user = self.request.user
        if not user.is_authenticated:  # only while the schema is drawn
            return BacktestRun.objects.none()
        return BacktestRun.objects.visible_to(user).select_related(
            "strategy_version__strategy", "strategy_version__lookahead_check"
        )

    def find_run(self, run_id: Any) -> BacktestRun:
        return get_object_or_404(self.runs(), pk=run_id)

    def show(self, run: BacktestRun, status_code: int = status.HTTP_200_OK) -> Response:
        response = Response(RunSerializer(run, context={"request": self.request}).data, status=status_code)
        if status_code == status.HTTP_201_CREATED:
            response["Location"] = reverse("api_backtest", kwargs={"run_id": run.pk}, request=self.request)
        return response


@extend_schema_view(get=extend_schema(operation_id="backtest_list", summary="Your runs, the newest first"))
@extend_schema(tags=["backtests"])
class RunListView(RunAPIView, ListAPIView[BacktestRun]):
    serializer_class = RunSerializer
    pagination_class = RunPagination

    def get_queryset(self) -> BacktestRunQuerySet:
        found = RunFilter(self.request.GET, queryset=self.runs(), request=self.request)
        if not found.is_valid():
            field, problems = next(iter(found.errors.get_json_data().items()))
            raise Refused(field, problems[0]["code"], problems[0]["message"])
        runs: BacktestRunQuerySet = found.qs
        return runs

    @extend_schema(
        operation_id="backtest_create",
        summary="Start a run",
        request=RunRequestSerializer,
        responses={201: RunSerializer, 400: RefusalSerializer},
    )
    def post(self, request: Request) -> Response:
        if not isinstance(request.data, Mapping):
            raise Refused("", "not_an_object", "Send one JSON object.")
        raw = request.data.dict() if hasattr(request.data, "dict") else request.data
        try:
            run = services.request_from_mapping(cast(User, request.user), raw)
        except RequestError as error:
            raise Refused(error.field, error.code, error.message) from error
        return self.show(run, status.HTTP_201_CREATED)


@extend_schema(tags=["backtests"])
class RunView(RunAPIView):
    @extend_schema(operation_id="backtest_read", summary="One run", responses={200: RunSerializer})
    def get(self, request: Request, run_id: Any) -> Response:
        return self.show(self.find_run(run_id))

    @extend_schema(
        operation_id="backtest_delete",
        summary="Delete a finished run and its files",
        responses={204: None, 409: RefusalSerializer},
    )
    def delete(self, request: Request, run_id: Any) -> Response:
        try:
            services.delete_run(self.find_run(run_id))
        except RequestError as error:
            raise Refused(error.field, error.code, error.message, status.HTTP_409_CONFLICT) from error
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["backtests"])
class RunCancelView(RunAPIView):
    @extend_schema(
        operation_id="backtest_cancel",
        summary="Ask for the end of a run",
        description="A queued run is cancelled at once, a running one within two seconds. Asking twice is fine.",
        request=None,
        responses={202: RunSerializer, 409: RefusalSerializer},
    )
    def post(self, request: Request, run_id: Any) -> Response:
        run = self.find_run(run_id)
        was_asked = services.cancel_run(run)
        run.refresh_from_db()
        if run.is_finished and not was_asked:
            raise Refused("", "run_finished", f"This run has already {run.status}.", status.HTTP_409_CONFLICT)
        return self.show(run, status.HTTP_202_ACCEPTED)


class RunRowsView(RunAPIView):
    """One table of a result, page by page (?limit&offset)."""

    pagination_class = RowPagination
    table = ""

    def choose(self, rows: Rows) -> Rows:
        """The rows that are asked for."""
        return rows

    def list_rows(self, run_id: Any) -> Response:
        run = self.find_run(run_id)
        if run.status != BacktestRun.Status.SUCCEEDED:
            raise Refused("", "no_result", f"This run has no result: it is {run.status}.", status.HTTP_409_CONFLICT)
        try:
            report = load_report(run)
            records = _Records(self.choose(report.tables[self.table]), report)
        except ArtifactError as error:
            raise Refused("", "result_missing", str(error), status.HTTP_410_GONE) from error
        pages = self.pagination_class()
        page = pages.paginate_queryset(cast(Sequence[Any], records), self.request, self)
        return pages.get_paginated_response(page)


PAGING = [
    OpenApiParameter("limit", int, description=f"Rows of a page, at most {MAX_PAGE}; default 1000."),
    OpenApiParameter("offset", int, description="Rows to leave out before the page."),
]


FATE = OpenApiParameter("status", str, enum=list(FATES), description="Only orders that ended so.")


@extend_schema(tags=["backtests"], parameters=[*PAGING, FATE])
class RunOrdersView(RunRowsView):
    table = "orders"

    def choose(self, rows: Rows) -> Rows:
        fate = self.request.query_params.get("status", "")
        if fate and fate not in FATES:
            raise Refused("status", "unknown_choice", f"There is no such status. Use one of: {', '.join(FATES)}.")
        return choose_orders(rows, fate)

    @extend_schema(
        operation_id="backtest_orders",
        summary="Orders of a result, each with its end and the reason",
        responses={200: OrderPageSerializer, 400: RefusalSerializer, 409: RefusalSerializer},
    )
    def get(self, request: Request, run_id: Any) -> Response:
        return self.list_rows(run_id)


@extend_schema(tags=["backtests"], parameters=PAGING)
class RunTradesView(RunRowsView):
    table = "trades"

    @extend_schema(
        operation_id="backtest_trades",
        summary="Trades of a result",
        responses={200: TradePageSerializer, 409: RefusalSerializer},
    )
    def get(self, request: Request, run_id: Any) -> Response:
        return self.list_rows(run_id)


@extend_schema(tags=["backtests"], parameters=PAGING)
class RunEquityView(RunRowsView):
    table = "equity"

    @extend_schema(
        operation_id="backtest_equity",
        summary="Equity of a result at each bar's close",
        responses={200: EquityPageSerializer, 409: RefusalSerializer},
    )
    def get(self, request: Request, run_id: Any) -> Response:
        return self.list_rows(run_id)


@extend_schema(tags=["backtests"])
class MetricListView(RunAPIView):
    @extend_schema(
        operation_id="backtest_metrics",
        summary="What each metric means: label, unit, formula",
        responses={200: MetricSerializer(many=True)},
    )
    def get(self, request: Request) -> Response:
        return Response(MetricSerializer([asdict(spec) for spec in METRICS.values()], many=True).data)


class _Records:
    """Rows that become plain records only when a page of them is asked for."""

    def __init__(self, rows: Rows, report: RunReport) -> None:
        self._rows, self._report = rows, report

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, page: slice) -> list[dict[str, Any]]:
        columns, records = to_records(self._rows[page], self._report)
        return [dict(zip(columns, record, strict=True)) for record in records]
