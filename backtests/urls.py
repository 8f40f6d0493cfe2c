from django.urls import URLPattern, URLResolver, path

from backtests.views import checks, dashboard, operations, results, runs

urlpatterns: list[URLPattern | URLResolver] = [
    path("", dashboard.home, name="home"),
    path("operations/", operations.operations, name="operations"),
    path("runs/", runs.run_list, name="run_list"),
    path("runs/new/", runs.run_new, name="run_new"),
    path("runs/latest/", runs.run_latest, name="run_latest"),
    path("runs/checks/", checks.version_badges, name="version_badges"),
    path("runs/checks/<uuid:version_id>/", checks.version_check, name="version_check"),
    path("runs/checks/<uuid:version_id>/again/", checks.version_check_again, name="version_check_again"),
    path("runs/sample/", dashboard.run_sample, name="run_sample"),
    path("runs/<uuid:run_id>/", results.run_detail, name="run_detail"),
    path("runs/<uuid:run_id>/live/", runs.run_live, name="run_live"),
    path("runs/<uuid:run_id>/cancel/", runs.run_cancel, name="run_cancel"),
    path("runs/<uuid:run_id>/delete/", runs.run_delete, name="run_delete"),
    path("runs/<uuid:run_id>/again/", runs.run_again, name="run_again"),
    path("runs/<uuid:run_id>/trades/", results.run_trades, name="run_trades"),
    path("runs/<uuid:run_id>/orders/", results.run_orders, name="run_orders"),
    path("runs/<uuid:run_id>/chart/", results.run_chart, name="run_chart"),
]
