"""Filters of the run list, shared by page and API."""

from typing import ClassVar

import django_filters
from django.db.models import QuerySet
from django.http import HttpRequest

from backtests.models import BacktestRun
from marketdata.models import Market


class RunFilter(django_filters.FilterSet):  # type: ignore[misc]
    status = django_filters.ChoiceFilter(choices=BacktestRun.Status.choices, empty_label="Any status")
    market = django_filters.ChoiceFilter(choices=Market.choices, empty_label="Any market")
    mode = django_filters.ChoiceFilter(choices=BacktestRun.Mode.choices, empty_label="Draft or sealed")
    symbol = django_filters.CharFilter(lookup_expr="icontains", label="Symbol")
    strategy = django_filters.UUIDFilter(field_name="strategy_version__strategy_id", label="Strategy")

    class Meta:
        model = BacktestRun
        fields: ClassVar = ["status", "market", "mode", "symbol", "strategy"]


def filter_runs(request: HttpRequest, runs: QuerySet[BacktestRun]) -> RunFilter:
    return RunFilter(request.GET, queryset=runs, request=request)
