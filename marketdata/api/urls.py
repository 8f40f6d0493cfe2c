from django.urls import URLPattern, URLResolver, path

from marketdata.api import jobs, series_views, views

urlpatterns: list[URLPattern | URLResolver] = [
    path("data/symbols/", views.SymbolsView.as_view(), name="api_data_symbols"),
    path("data/series/", series_views.SeriesListView.as_view(), name="api_data_series_list"),
    path("data/series/<int:series_id>/", series_views.SeriesView.as_view(), name="api_data_series"),
    path("data/uploads/", series_views.UploadListView.as_view(), name="api_data_upload_list"),
    path("data/uploads/<uuid:upload_id>/", series_views.UploadView.as_view(), name="api_data_upload"),
    path("data/history/", views.HistoryView.as_view(), name="api_data_history"),
    path("ingest-jobs/", jobs.IngestJobListView.as_view(), name="api_ingest_job_list"),
    path("ingest-jobs/plan/", jobs.FetchPlanView.as_view(), name="api_ingest_job_plan"),
    path("ingest-jobs/<uuid:job_id>/", jobs.IngestJobView.as_view(), name="api_ingest_job"),
    path("ingest-jobs/<uuid:job_id>/cancel/", jobs.IngestJobCancelView.as_view(), name="api_ingest_job_cancel"),
    path("ingest-jobs/<uuid:job_id>/resume/", jobs.IngestJobResumeView.as_view(), name="api_ingest_job_resume"),
]
