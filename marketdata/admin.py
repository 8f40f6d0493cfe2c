from typing import ClassVar

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest

from marketdata.models import FilterSet, IngestJob, Instrument, MarginTierSet, Segment, Series
from marketdata.rules import TierRow, find_tier_problem


class MarginTierSetForm(ModelForm):  # type: ignore[type-arg]
    def clean_tiers(self) -> list[dict[str, float]]:
        tiers = self.cleaned_data["tiers"]
        try:
            problem = find_tier_problem(tuple(TierRow.from_json(tier) for tier in tiers))
        except (KeyError, TypeError, ValueError):
            problem = "Each tier needs floor, cap, maintenance_rate, max_leverage and cumulative, all numbers."
        if problem or not tiers:
            raise ValidationError(problem or "Give at least one tier.")
        return list(tiers)


class MarginTierSetInline(admin.TabularInline):  # type: ignore[type-arg]
    model = MarginTierSet
    form = MarginTierSetForm
    extra = 0


class FilterSetInline(admin.TabularInline):  # type: ignore[type-arg]
    model = FilterSet
    extra = 0
    min_num = 1  # a run cannot be without
    validate_min = True


@admin.register(Instrument)
class InstrumentAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("symbol", "market", "base_asset", "quote_asset", "owner")
    list_select_related = ("owner",)
    list_filter = ("market", "quote_asset")
    search_fields = ("symbol", "base_asset")
    inlines: ClassVar = [FilterSetInline, MarginTierSetInline]


@admin.register(FilterSet)
class FilterSetAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("instrument", "valid_from", "tick_size", "step_size", "min_qty", "min_notional", "source")
    list_filter = ("valid_from",)
    list_select_related = ("instrument",)
    search_fields = ("instrument__symbol", "source")


@admin.register(MarginTierSet)
class MarginTierSetAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = MarginTierSetForm
    list_display = ("instrument", "valid_from", "source")
    list_filter = ("valid_from",)
    list_select_related = ("instrument",)
    search_fields = ("instrument__symbol", "source")


class FileRowAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that follow files: they are looked at here, and changed by importing."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


@admin.register(Series)
class SeriesAdmin(FileRowAdmin):
    list_display = ("__str__", "kind", "timeframe", "origin", "changed_at")
    list_filter = ("instrument__market", "kind", "timeframe", "origin")
    list_select_related = ("instrument",)
    search_fields = ("instrument__symbol",)


@admin.register(Segment)
class SegmentAdmin(FileRowAdmin):
    list_display = ("series", "month", "revision", "is_current", "n_rows", "n_bytes", "sha256", "created_at")
    list_filter = ("is_current", "series__instrument__market", "series__kind", "series__timeframe")
    list_select_related = ("series__instrument",)
    search_fields = ("series__instrument__symbol", "sha256")
    date_hierarchy = "month"

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False  # finished runs may pin the file


@admin.register(IngestJob)
class IngestJobAdmin(FileRowAdmin):
    list_display = ("description", "status", "n_files_done", "n_files", "n_rows", "requested_by", "created_at")
    list_filter = ("status",)
    list_select_related = ("requested_by",)
    search_fields = ("description", "log")
    date_hierarchy = "created_at"
