"""What only strategies refuse; everything else is refused by the API as a whole (accounts.api.errors)."""

from collections.abc import Callable
from typing import Any

from rest_framework import serializers, status
from rest_framework.generics import GenericAPIView
from rest_framework.response import Response

from accounts.api.errors import RefusalSerializer, answer_refusal
from strategies.services import StrategyError, VersionConflict


class ConflictSerializer(RefusalSerializer):
    latest = serializers.IntegerField(help_text="The number of the newest version.")


class StrategyAPIView(GenericAPIView[Any]):
    """A view that also answers what the services of strategies refuse."""

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        return answer_strategy_refusal


def answer_strategy_refusal(error: Exception, context: dict[str, Any]) -> Response | None:
    if isinstance(error, StrategyError):
        refusal = {"field": error.field, "code": error.code, "message": error.message}
        return Response(refusal, status=status.HTTP_400_BAD_REQUEST)
    if isinstance(error, VersionConflict):
        conflict = {"field": "based_on", "code": error.code, "message": str(error), "latest": error.latest.number}
        return Response(conflict, status=status.HTTP_409_CONFLICT)
    return answer_refusal(error, context)
