from django.urls import URLPattern, URLResolver, path

from strategies.api import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("strategies/", views.StrategyListView.as_view(), name="api_strategies"),
    path("strategies/<uuid:strategy_id>/", views.StrategyDetailView.as_view(), name="api_strategy"),
    path("strategies/<uuid:strategy_id>/versions/", views.VersionListView.as_view(), name="api_strategy_versions"),
    path(
        "strategies/<uuid:strategy_id>/versions/<int:number>/",
        views.VersionDetailView.as_view(),
        name="api_strategy_version",
    ),
]
