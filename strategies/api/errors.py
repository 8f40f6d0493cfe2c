"""Refusals in the one shape of this API: {field, code, message}; an empty field means the request as a whole."""

from collections.abc import Callable
from typing import Any

from rest_framework import serializers, status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.response import Response
from rest_framework.views import exception_handler

from strategies.models import Strategy
from strategies.services import StrategyError, VersionConflict

NOT_FOUND = ("", "not_found", "There is no such thing, or it is not yours.")


class RefusalSerializer(serializers.Serializer[Any]):
    field = serializers.CharField(allow_blank=True, help_text="Empty where the request as a whole is meant.")
    code = serializers.CharField(help_text="Stable; the message may be reworded.")
    message = serializers.CharField()


class ConflictSerializer(RefusalSerializer):
    latest = serializers.IntegerField(help_text="The number of the newest version.")


class StrategyAPIView(GenericAPIView[Strategy]):
    """A view whose refusals have the shape of this module."""

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        return answer_refusal


def answer_refusal(error: Exception, context: dict[str, Any]) -> Response | None:
    if isinstance(error, StrategyError):
        return Response(_body(error.field, error.code, error.message), status=status.HTTP_400_BAD_REQUEST)
    if isinstance(error, VersionConflict):
        body = {**_body("based_on", error.code, str(error)), "latest": error.latest.number}
        return Response(body, status=status.HTTP_409_CONFLICT)
    response = exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, ValidationError):
        response.data = _body(*_first_of("", error.get_full_details()))
    elif isinstance(error, APIException):
        response.data = _body("", str(error.get_codes()), str(error.detail))
    else:
        response.data = _body(*NOT_FOUND)
    return response


def _body(field: str, code: str, message: str) -> dict[str, Any]:
    return {"field": field, "code": code, "message": message}


def _first_of(field: str, details: Any) -> tuple[str, str, str]:
    if isinstance(details, list):
        return _first_of(field, details[0])
    if "message" in details and "code" in details and not isinstance(details["code"], list):
        return field, str(details["code"]), str(details["message"])
    name, inner = next(iter(details.items()))
    return _first_of(field or ("" if name == "non_field_errors" else str(name)), inner)
