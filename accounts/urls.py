from django.urls import URLPattern, URLResolver, path

from accounts import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.account, name="account"),
    path("profile/", views.account_profile, name="account_profile"),
    path("tokens/", views.token_create, name="token_create"),
    path("tokens/<slug:token_key>/revoke/", views.token_revoke, name="token_revoke"),
]
