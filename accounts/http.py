"""Requests with the types that our middleware gives them, and what every template may ask about the site."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django_htmx.middleware import HtmxDetails

from accounts.models import User


class HtmxRequest(HttpRequest):
    htmx: HtmxDetails


class AuthedRequest(HtmxRequest):
    """A request that has passed `login_required`."""

    user: User


def is_fragment(request: HtmxRequest) -> bool:
    """True when htmx asks for a part of a page; a boosted link or a restored history entry wants the whole page."""
    return bool(request.htmx) and not request.htmx.boosted and not request.htmx.history_restore_request


def describe_site(request: HttpRequest) -> dict[str, object]:
    """A context processor."""
    return {"has_mail_server": settings.HAS_MAIL_SERVER}


def staff_only[**P](
    view: Callable[Concatenate[AuthedRequest, P], HttpResponse],
) -> Callable[..., HttpResponseBase]:
    """Sign-in for visitors, 404 for those who are not staff."""

    @wraps(view)
    def checked(request: AuthedRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not request.user.is_staff:
            raise Http404
        return view(request, *args, **kwargs)

    return login_required(checked)
