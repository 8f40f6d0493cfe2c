"""Strategies and their versions over HTTP."""

from typing import cast
from uuid import UUID

from django.shortcuts import get_object_or_404
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.errors import RefusalSerializer
from accounts.models import User
from strategies import services
from strategies.api.errors import ConflictSerializer, StrategyAPIView
from strategies.api.filters import StrategyFilter
from strategies.api.serializers import (
    DescribeSerializer,
    NewStrategySerializer,
    NewVersionSerializer,
    StrategySerializer,
    VersionDetailSerializer,
    VersionSerializer,
)
from strategies.models import Strategy, StrategyQuerySet, StrategyVersion

REFUSED = OpenApiResponse(RefusalSerializer, description="Which field is wrong, and why.")


class StrategyListView(StrategyAPIView):
    queryset = Strategy.objects.none()  # for the schema; requests start from visible_to
    filter_backends = (DjangoFilterBackend,)
    filterset_class = StrategyFilter

    @extend_schema(
        operation_id="strategies_list",
        summary="Your strategies, the last changed first",
        responses=StrategySerializer(many=True),
        tags=["strategies"],
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(_visible(request).with_latest()))
        return self.get_paginated_response(StrategySerializer(page or [], many=True).data)

    @extend_schema(
        operation_id="strategies_create",
        summary="A new strategy with its first version",
        request=NewStrategySerializer,
        responses={201: StrategySerializer, 400: REFUSED},
        tags=["strategies"],
    )
    def post(self, request: Request) -> Response:
        given = NewStrategySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        version = services.create_strategy(_user(request), **given.validated_data)
        return Response(_shown(request, version.strategy_id), status=status.HTTP_201_CREATED)


class StrategyDetailView(StrategyAPIView):
    @extend_schema(
        operation_id="strategies_get", summary="One strategy", responses=StrategySerializer, tags=["strategies"]
    )
    def get(self, request: Request, strategy_id: UUID) -> Response:
        return Response(_shown(request, strategy_id))

    @extend_schema(
        operation_id="strategies_describe",
        summary="Another name or description",
        request=DescribeSerializer,
        responses={200: StrategySerializer, 400: REFUSED},
        tags=["strategies"],
    )
    def patch(self, request: Request, strategy_id: UUID) -> Response:
        strategy = get_object_or_404(_visible(request), pk=strategy_id)
        given = DescribeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        services.describe_strategy(strategy, **given.validated_data)
        return Response(_shown(request, strategy_id))

    @extend_schema(
        operation_id="strategies_archive",
        summary="Archive it; its versions and runs are kept",
        responses={204: None},
        tags=["strategies"],
    )
    def delete(self, request: Request, strategy_id: UUID) -> Response:
        services.archive_strategy(get_object_or_404(_visible(request), pk=strategy_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class VersionListView(StrategyAPIView):
    queryset = StrategyVersion.objects.none()

    @extend_schema(
        operation_id="strategy_versions_list",
        summary="The versions of a strategy, the newest first",
        responses=VersionSerializer(many=True),
        tags=["strategies"],
    )
    def get(self, request: Request, strategy_id: UUID) -> Response:
        strategy = get_object_or_404(_visible(request), pk=strategy_id)
        page = self.paginate_queryset(strategy.versions.order_by("-number").defer("source", "param_schema"))
        return self.get_paginated_response(VersionSerializer(page or [], many=True).data)

    @extend_schema(
        operation_id="strategy_versions_create",
        summary="Save a text as the next version; the text of the newest one gives that one with status 200",
        request=NewVersionSerializer,
        responses={
            200: VersionDetailSerializer,
            201: VersionDetailSerializer,
            400: REFUSED,
            409: OpenApiResponse(ConflictSerializer, description="A newer version than `based_on` was saved."),
        },
        tags=["strategies"],
    )
    def post(self, request: Request, strategy_id: UUID) -> Response:
        strategy = get_object_or_404(_visible(request), pk=strategy_id)
        given = NewVersionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        newest = strategy.latest_version
        fields = given.validated_data
        version = services.save_version(strategy, fields["source"], based_on=fields.get("based_on"))
        is_new = newest is None or version.pk != newest.pk
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(VersionDetailSerializer(version).data, status=code)


class VersionDetailView(StrategyAPIView):
    @extend_schema(
        operation_id="strategy_versions_get",
        summary="One version with its source, parameters and problems",
        responses=VersionDetailSerializer,
        tags=["strategies"],
    )
    def get(self, request: Request, strategy_id: UUID, number: int) -> Response:
        strategy = get_object_or_404(_visible(request), pk=strategy_id)
        return Response(VersionDetailSerializer(get_object_or_404(strategy.versions, number=number)).data)


def _user(request: Request) -> User:
    return cast(User, request.user)


def _visible(request: Request) -> StrategyQuerySet:
    return Strategy.objects.visible_to(_user(request))


def _shown(request: Request, strategy_id: UUID) -> object:
    return StrategySerializer(get_object_or_404(_visible(request).with_latest(), pk=strategy_id)).data
