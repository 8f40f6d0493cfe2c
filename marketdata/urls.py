from django.urls import URLPattern, URLResolver, path

from marketdata import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.data_catalogue, name="data_catalogue"),
    path("<int:series_id>/", views.data_series, name="data_series"),
]
