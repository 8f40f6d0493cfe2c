from typing import ClassVar

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from strategies.models import Strategy, StrategyVersion


class VersionInline(admin.TabularInline):  # type: ignore[type-arg]
    """Versions are made by saving a text; here they are only seen."""

    model = StrategyVersion
    fields = ("number", "sha256", "created_at")
    readonly_fields = fields
    extra = 0
    max_num = 0
    can_delete = False
    show_change_link = True
    ordering = ("-number",)


@admin.register(Strategy)
class StrategyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "owner", "n_versions", "changed_at", "archived_at")
    list_filter = (("archived_at", admin.EmptyFieldListFilter), "changed_at")
    list_select_related = ("owner",)
    search_fields = ("name", "owner__email", "id")
    readonly_fields = ("id", "owner", "created_at", "changed_at")
    inlines: ClassVar = [VersionInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Strategy]:
        rows: QuerySet[Strategy] = super().get_queryset(request)
        return rows.annotate(n_versions=Count("versions"))

    @admin.display(ordering="n_versions", description="versions")
    def n_versions(self, strategy: Strategy) -> int:
        return int(getattr(strategy, "n_versions", 0))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a strategy without a version would be of no use


@admin.register(StrategyVersion)
class StrategyVersionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read-only: a run's result names the version that it ran."""

    list_display = ("strategy", "number", "owner", "sha256", "created_at")
    list_select_related = ("strategy__owner",)
    list_filter = ("created_at",)
    search_fields = ("strategy__name", "strategy__owner__email", "sha256")

    @admin.display(ordering="strategy__owner__email")
    def owner(self, version: StrategyVersion) -> str:
        return version.strategy.owner.email

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: StrategyVersion | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: StrategyVersion | None = None) -> bool:
        return False
