"""Every refusal of the API has the same body: {field, code, message}. REST_FRAMEWORK names `answer_refusal`."""

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.defaults import page_not_found, server_error
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler

API = "/api/"


class Refused(APIException):
    """A rule said no. `field` is empty where the request as a whole is meant."""

    def __init__(self, field: str, code: str, message: str, status_code: int = status.HTTP_400_BAD_REQUEST) -> None:
        super().__init__(message, code)
        self.field, self.code, self.message = field, code, message
        self.status_code = status_code


class RefusalSerializer(serializers.Serializer[Any]):
    field = serializers.CharField(allow_blank=True, help_text="Empty where the request as a whole is meant.")
    code = serializers.CharField(help_text="Stable; the message may be reworded.")
    message = serializers.CharField()


def answer_refusal(error: Exception, context: dict[str, Any]) -> Response | None:
    if isinstance(error, RequestDataTooBig):
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
        error = Refused("", "body_too_long", f"The body is longer than {limit:,} bytes.", status_code)
    response = exception_handler(error, context)
    if response is None:
        return None
    field, code, message = "", "error", "The request cannot be answered."
    if isinstance(error, Refused):
        field, code, message = error.field, error.code, error.message
    elif isinstance(error, ValidationError):
        field, code, message = _first_of(error)
    elif isinstance(error, APIException):
        code, message = str(error.get_codes()), str(error.detail)
    elif response.status_code == status.HTTP_404_NOT_FOUND:
        code, message = "not_found", "There is no such thing, or it is not yours."
    elif response.status_code == status.HTTP_403_FORBIDDEN:
        code, message = "permission_denied", "You may not do this."
    response.data = {"field": field, "code": code, "message": message}
    return response


def answer_missing(request: HttpRequest, exception: Exception) -> HttpResponse:
    """An address that leads nowhere: in the API's shape under /api/, else the site's page. Named in config.urls."""
    if not request.path.startswith(API):
        return page_not_found(request, exception)
    return _refuse("not_found", "There is nothing at this address.", status.HTTP_404_NOT_FOUND)


def answer_failure(request: HttpRequest) -> HttpResponse:
    """An error of ours, logged already: in the API's shape under /api/, else the site's page. Named in config.urls."""
    if not request.path.startswith(API):
        return server_error(request)
    message = "Something went wrong on our side. Try again; if it fails again, tell the operator when it happened."
    return _refuse("internal", message, status.HTTP_500_INTERNAL_SERVER_ERROR)


def _refuse(code: str, message: str, status_code: int) -> HttpResponse:
    return JsonResponse({"field": "", "code": code, "message": message}, status=status_code)


def _first_of(error: ValidationError) -> tuple[str, str, str]:
    details: Any = error.get_full_details()
    field = ""
    while not (isinstance(details, dict) and "message" in details and "code" in details):
        if isinstance(details, dict):
            name, details = next(iter(details.items()))
            field = field or ("" if name == "non_field_errors" else str(name))
        else:
            details = details[0]
    return field, str(details["code"]), str(details["message"])
