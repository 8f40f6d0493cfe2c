from django.urls import URLPattern, URLResolver, path

from backtests.api import checks, views

urlpatterns: list[URLPattern | URLResolver] = [
    path("backtests/", views.RunListView.as_view(), name="api_backtest_list"),
    path("backtests/metrics/", views.MetricListView.as_view(), name="api_metric_list"),
    path("backtests/<uuid:run_id>/", views.RunView.as_view(), name="api_backtest"),
    path("backtests/<uuid:run_id>/cancel/", views.RunCancelView.as_view(), name="api_backtest_cancel"),
    path("backtests/<uuid:run_id>/orders/", views.RunOrdersView.as_view(), name="api_backtest_orders"),
    path("backtests/<uuid:run_id>/trades/", views.RunTradesView.as_view(), name="api_backtest_trades"),
    path("backtests/<uuid:run_id>/equity/", views.RunEquityView.as_view(), name="api_backtest_equity"),
    path(
        "strategies/<uuid:strategy_id>/versions/<int:number>/check/",
        checks.VersionCheckView.as_view(),
        name="api_version_check",
    ),
]
