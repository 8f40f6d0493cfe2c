from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from backtests import services
from backtests.models import BacktestRun, BacktestRunQuerySet


@admin.register(BacktestRun)
class BacktestRunAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Staff see every run, cancel what goes on, and queue again what failed."""

    list_display = (
        "id",
        "owner",
        "strategy_version",
        "symbol",
        "timeframe",
        "status",
        "failure_code",
        "attempt",
        "n_lost",
        "created_at",
        "finished_at",
    )
    list_filter = ("status", "failure_code", "market", "timeframe", "is_ruined", "jail_level", "created_at")
    list_select_related = ("owner", "strategy_version__strategy")
    search_fields = ("id", "owner__email", "strategy_version__strategy__name", "symbol", "result_hash")
    date_hierarchy = "created_at"
    actions = ("cancel", "requeue")
    fieldsets = (
        (None, {"fields": ["id", "owner", "strategy_version", "status", "failure_code", "failure"]}),
        ("Request", {"fields": ["market", "symbol", "timeframe", "from_ms", "to_ms", "data_revision", "request"]}),
        (
            "Life",
            {
                "fields": [
                    *("attempt", "n_lost", "token", "lease_until", "dispatched_at", "cancel_requested"),
                    *("stage", "progress", "created_at", "started_at", "finished_at"),
                ]
            },
        ),
        ("Result", {"fields": ["summary", "is_ruined", "result_hash", "artifact_dir", "jail_level", "run_data"]}),
    )
    readonly_fields = tuple(field.name for field in BacktestRun._meta.fields)

    @admin.action(description="Cancel the chosen runs", permissions=["change"])
    def cancel(self, request: HttpRequest, runs: BacktestRunQuerySet) -> None:
        n_chosen = runs.count()
        self.message_user(request, f"{runs.request_cancel()} of {n_chosen} runs are cancelled.", messages.SUCCESS)

    @admin.action(description="Queue the chosen runs again", permissions=["change"])
    def requeue(self, request: HttpRequest, runs: BacktestRunQuerySet) -> None:
        n_chosen = runs.count()
        self.message_user(request, f"{runs.requeue()} of {n_chosen} runs are queued again.", messages.SUCCESS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: BacktestRun | None = None) -> bool:
        # A worker may hold an active run; cancel it first.
        return super().has_delete_permission(request, obj) and (obj is None or obj.is_finished)

    def delete_model(self, request: HttpRequest, obj: BacktestRun) -> None:
        services.delete_run(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[BacktestRun]) -> None:
        for run in queryset:
            services.delete_run(run)
