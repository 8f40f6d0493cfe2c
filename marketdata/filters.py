"""Filters of the catalogue, shared by page and API."""

from typing import ClassVar

import django_filters

from marketdata.models import Market, Series, SeriesKind, SeriesOrigin
from marketdata.timeframes import TIMEFRAME_MS


class SeriesFilter(django_filters.FilterSet):  # type: ignore[misc]
    market = django_filters.ChoiceFilter(
        field_name="instrument__market", choices=Market.choices, empty_label="Any market", label="Market"
    )
    symbol = django_filters.CharFilter(field_name="instrument__symbol", lookup_expr="icontains", label="Symbol")
    kind = django_filters.ChoiceFilter(choices=SeriesKind.choices, empty_label="Any kind", label="Kind")
    timeframe = django_filters.ChoiceFilter(
        choices=[(name, name) for name in TIMEFRAME_MS], empty_label="Any timeframe", label="Timeframe"
    )
    origin = django_filters.ChoiceFilter(choices=SeriesOrigin.choices, empty_label="Any origin", label="Origin")

    class Meta:
        model = Series
        fields: ClassVar = ["market", "symbol", "kind", "timeframe", "origin"]
