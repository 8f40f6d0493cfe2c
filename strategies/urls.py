from django.urls import URLPattern, URLResolver, path

from strategies import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.strategy_list, name="strategy_list"),
    path("new/", views.strategy_new, name="strategy_new"),
    path("check/", views.strategy_check, name="strategy_check"),
    path("examples/<slug:slug>/copy/", views.example_copy, name="example_copy"),
    path("<uuid:strategy_id>/", views.strategy_edit, name="strategy_edit"),
    path("<uuid:strategy_id>/save/", views.strategy_save, name="strategy_save"),
    path("<uuid:strategy_id>/describe/", views.strategy_describe, name="strategy_describe"),
    path("<uuid:strategy_id>/archive/", views.strategy_archive, name="strategy_archive"),
    path("<uuid:strategy_id>/restore/", views.strategy_restore, name="strategy_restore"),
    path("<uuid:strategy_id>/versions/<int:number>/", views.strategy_version, name="strategy_version"),
    path("<uuid:strategy_id>/versions/<int:number>/restore/", views.version_restore, name="version_restore"),
]
