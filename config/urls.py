"""Where every address leads. Each app brings its own pages and its part of the API."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

api_v1: list[URLPattern | URLResolver] = [
    path("", include("accounts.api.urls")),
    path("", include("strategies.api.urls")),
    path("", include("marketdata.api.urls")),
    path("", include("backtests.api.urls")),
    path("schema/", SpectacularAPIView.as_view(), name="api_schema"),
]

urlpatterns = [
    path("", include("backtests.urls")),
    path("strategies/", include("strategies.urls")),
    path("data/", include("marketdata.urls")),
    path("account/", include("accounts.urls")),
    path("accounts/", include("allauth.account.urls")),
    path("api/v1/", include(api_v1)),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="api_schema"), name="api_docs"),
    path("admin/", admin.site.urls),
]
