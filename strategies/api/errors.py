"""What services refuse, as the API's refusals."""

from collections.abc import Callable
from typing import Any

from rest_framework import serializers, status
from rest_framework.generics import GenericAPIView
from rest_framework.response import Response

from accounts.api.errors import RefusalSerializer, Refused, answer_refusal
from strategies.services import StrategyError, VersionConflict


class ConflictSerializer(RefusalSerializer):
    latest = serializers.IntegerField(help_text="The number of the newest version.")


class StrategyAPIView(GenericAPIView[Any]):
    """A view that may let the errors of `strategies.services` pass."""

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        return _answer


def _answer(error: Exception, context: dict[str, Any]) -> Response | None:
    if isinstance(error, StrategyError):
        error = Refused(error.field, error.code, error.message)
    if not isinstance(error, VersionConflict):
        return answer_refusal(error, context)
    response = answer_refusal(Refused("based_on", error.code, str(error), status.HTTP_409_CONFLICT), context)
    if response is not None:
        response.data["latest"] = error.latest.number
    return response
