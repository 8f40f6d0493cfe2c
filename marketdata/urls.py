from django.urls import URLPattern, URLResolver, include, path

from marketdata.views import catalogue, series, uploads

urlpatterns: list[URLPattern | URLResolver] = [
    path("", catalogue.data_catalogue, name="data_catalogue"),
    path("upload/", uploads.data_upload, name="data_upload"),
    path("upload/<uuid:upload_id>/", uploads.data_upload_status, name="data_upload_status"),
    path("<int:series_id>/", series.data_series, name="data_series"),
    path("<int:series_id>/chart/", series.data_chart, name="data_chart"),
    path("<int:series_id>/rows/", series.data_rows, name="data_rows"),
    path("<int:series_id>/rename/", series.data_rename, name="data_rename"),
    path("<int:series_id>/delete/", series.data_delete, name="data_delete"),
    path("", include("marketdata.jobs.urls")),
]
