"""Where every address leads. Each app brings its own pages and its part of the API."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

# The admin has no door of its own: the site's sign-in page counts and locks failed attempts.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = admin.site.site_title = "Hindsight admin"

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
    path("favicon.ico", RedirectView.as_view(url="/static/img/mark.svg")),
]

handler404 = "accounts.api.errors.answer_missing"
handler500 = "accounts.api.errors.answer_failure"
