from django.urls import URLPattern, URLResolver, path

from marketdata.api import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("data/symbols/", views.SymbolsView.as_view(), name="api_data_symbols"),
    path("data/history/", views.HistoryView.as_view(), name="api_data_history"),
]
