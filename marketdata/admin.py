from dataclasses import asdict
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern, path

from marketdata.ingest.errors import IngestError
from marketdata.ingest.exchange_rules import MAX_JSON_BYTES, MAX_SIZE, read_tiers
from marketdata.models import FilterSet, IngestJob, Instrument, MarginTierSet, Segment, Series
from marketdata.rule_imports import import_rules
from marketdata.segments import Change

NOT_ZERO = ("tick_size", "step_size")


class MarginTierSetForm(ModelForm):  # type: ignore[type-arg]
    """Tiers as objects or as lists; their cumulative amounts may be left out. What is saved are objects, whole."""

    def clean_tiers(self) -> list[dict[str, float]]:
        try:
            return [asdict(tier) for tier in read_tiers("Tiers", self.cleaned_data["tiers"])]
        except IngestError as error:
            raise ValidationError(error.message, code=error.code) from None


class FilterSetForm(ModelForm):  # type: ignore[type-arg]
    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        for name, value in list((cleaned or {}).items()):
            if isinstance(value, float) and not (0 <= value < MAX_SIZE and (value or name not in NOT_ZERO)):
                least = "above 0" if name in NOT_ZERO else "0 or more"
                self.add_error(name, f"A number is expected, {least} and below {MAX_SIZE:g}.")
        if (cleaned or {}).get("liquidation_fee_rate", 0.0) >= 1:
            self.add_error("liquidation_fee_rate", "A ratio below 1 is expected: 0.0125 is 1.25 %.")
        return cleaned


class ImportRulesForm(forms.Form):
    file = forms.FileField(help_text="exchangeInfo, leverageBracket or plain tiers, as JSON.")
    as_of = forms.DateField(required=False, help_text="The day from which they hold, where the file does not say it.")
    symbols = forms.CharField(required=False, help_text="Only these, with spaces between them; empty: all of the file.")


class MarginTierSetInline(admin.TabularInline):  # type: ignore[type-arg]
    model = MarginTierSet
    form = MarginTierSetForm
    extra = 0


class FilterSetInline(admin.TabularInline):  # type: ignore[type-arg]
    model = FilterSet
    form = FilterSetForm
    extra = 0
    min_num = 1  # a run cannot be without
    validate_min = True


@admin.register(Instrument)
class InstrumentAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("symbol", "market", "base_asset", "quote_asset", "onboarded_on", "delisted_on", "owner")
    change_list_template = "admin/marketdata/instrument_change_list.html"
    list_select_related = ("owner",)
    list_filter = ("market", "quote_asset")
    search_fields = ("symbol", "base_asset")
    inlines: ClassVar = [FilterSetInline, MarginTierSetInline]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.import_page)
        return [path("import/", view, name="marketdata_instrument_import"), *super().get_urls()]

    def import_page(self, request: HttpRequest) -> HttpResponseBase:
        """The page on which staff hand in what `import_instruments` reads."""
        if not (self.has_add_permission(request) and self.has_change_permission(request)):
            raise PermissionDenied
        form = ImportRulesForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid() and _import_rules(request, form):
            return redirect("admin:marketdata_instrument_changelist")
        context = {**self.admin_site.each_context(request), "form": form, "title": "Import filters and margin tiers"}
        return render(request, "admin/marketdata/instrument_import.html", context)


def _import_rules(request: HttpRequest, form: ImportRulesForm) -> bool:
    file, symbols = form.cleaned_data["file"], form.cleaned_data["symbols"].split()
    try:
        data = file.read(MAX_JSON_BYTES + 1)
        outcome = import_rules(file.name, data, as_of=form.cleaned_data["as_of"], symbols=symbols)
    except IngestError as error:
        form.add_error("file", f"{error.message} Nothing was written.")
        return False
    counts = ", ".join(f"{outcome.count(change)} {change.value}" for change in Change)
    messages.success(request, f"{outcome.kind}: {counts}.")
    return True


@admin.register(FilterSet)
class FilterSetAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = FilterSetForm
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
