"""Refusals in one shape: {"errors": [{"field", "code", "message"}]}; an empty field means the request as a whole."""

from collections.abc import Iterator
from typing import Any

from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from strategies.services import StrategyError, VersionConflict


class ErrorSerializer(serializers.Serializer[Any]):
    field = serializers.CharField(allow_blank=True)
    code = serializers.CharField()
    message = serializers.CharField()


class ErrorsSerializer(serializers.Serializer[Any]):
    errors = ErrorSerializer(many=True)  # type: ignore[assignment]


class ConflictSerializer(ErrorsSerializer):
    latest = serializers.IntegerField(help_text="The newest version's number.")


class StrategyAPIView(APIView):
    """An APIView whose refusals have the shape of this module."""

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, VersionConflict):
            error = {"field": "based_on", "code": exc.code, "message": str(exc)}
            return Response({"errors": [error], "latest": exc.latest.number}, status=status.HTTP_409_CONFLICT)
        if isinstance(exc, StrategyError):
            error = {"field": exc.field, "code": exc.code, "message": exc.message}
            return Response({"errors": [error]}, status=status.HTTP_400_BAD_REQUEST)
        if isinstance(exc, ValidationError):
            return Response({"errors": list(_flatten("", exc.get_full_details()))}, status=exc.status_code)
        return super().handle_exception(exc)


def _flatten(field: str, details: Any) -> Iterator[dict[str, str]]:
    if isinstance(details, list):
        for detail in details:
            yield from _flatten(field, detail)
    elif "message" in details and "code" in details:
        yield {"field": field, "code": str(details["code"]), "message": str(details["message"])}
    else:
        for name, detail in details.items():
            yield from _flatten("" if name == "non_field_errors" else str(name), detail)
