from typing import ClassVar

import django_filters
from django.db.models import QuerySet

from strategies.models import Strategy


class StrategyFilter(django_filters.FilterSet):  # type: ignore[misc]
    name = django_filters.CharFilter(lookup_expr="icontains", label="Part of the name.")
    archived = django_filters.BooleanFilter(method="filter_archived", label="true: archived ones instead.")

    class Meta:
        model = Strategy
        fields: ClassVar[list[str]] = []

    @property
    def qs(self) -> QuerySet[Strategy]:
        found: QuerySet[Strategy] = super().qs
        is_archived = bool(self.form.cleaned_data.get("archived")) if self.is_valid() else False
        return found.filter(archived_at__isnull=not is_archived)

    def filter_archived(self, queryset: QuerySet[Strategy], name: str, value: bool) -> QuerySet[Strategy]:
        return queryset  # without the filter, too, one of the two kinds is meant: see qs
