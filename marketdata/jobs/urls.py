from django.urls import URLPattern, path

from marketdata.jobs import views

app_name = "marketdata"
urlpatterns: list[URLPattern] = [
    path("fetch/", views.fetch, name="fetch"),
    path("jobs/", views.job_list, name="job-list"),
    path("jobs/extend/", views.extend, name="extend"),
    path("jobs/<uuid:job_id>/", views.job, name="job"),
    path("jobs/<uuid:job_id>/cancel/", views.job_cancel, name="job-cancel"),
    path("jobs/<uuid:job_id>/resume/", views.job_resume, name="job-resume"),
]
