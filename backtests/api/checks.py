"""The look-ahead check of a version over HTTP: the same facts as on its page."""

from typing import Any, cast
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from backtests.api.serializers import FailureSerializer
from backtests.models import VersionCheck
from backtests.presentation.checks import CHECK_STATUSES, NOT_CHECKED, OTHER_RUNS
from strategies.models import StrategyVersion


class OrderDifferenceSerializer(serializers.Serializer[Any]):
    """The first order that is not the same in two runs."""

    other_run = serializers.ChoiceField(
        choices=OTHER_RUNS,
        help_text="The same candles again; the bars up to a cut alone; other bars after a cut.",
    )
    bar_time_ms = serializers.IntegerField(help_text="Open time of the bar at whose close the order was made.")
    expected = serializers.CharField(allow_blank=True, help_text="In the run of all candles; empty: no order.")
    found = serializers.CharField(allow_blank=True, help_text="In the other run; empty: no order.")
    cut_time_ms = serializers.IntegerField(
        allow_null=True, help_text="Open time of the last bar that both runs have in common; null for `again`."
    )


class VersionCheckSerializer(serializers.Serializer[Any]):
    """See docs/concepts/look-ahead.md for what each status means. Fields are null until the check has ended."""

    status = serializers.ChoiceField(choices=CHECK_STATUSES)
    requested_at = serializers.DateTimeField(allow_null=True)
    checked_at = serializers.DateTimeField(allow_null=True)
    data_checked = serializers.CharField(allow_null=True, help_text="The candles that it was made on, in words.")
    n_bars = serializers.IntegerField(allow_null=True)
    n_orders = serializers.IntegerField(allow_null=True)
    n_runs = serializers.IntegerField(allow_null=True, help_text="Further runs that could be compared with the first.")
    seconds = serializers.FloatField(allow_null=True)
    jail_level = serializers.CharField(allow_null=True, allow_blank=True)
    difference = OrderDifferenceSerializer(allow_null=True)
    failure = FailureSerializer(allow_null=True)


@extend_schema(tags=["strategies"])
class VersionCheckView(APIView):
    @extend_schema(
        operation_id="strategy_version_check",
        summary="What the look-ahead check of a version found",
        responses={200: VersionCheckSerializer},
    )
    def get(self, request: Request, strategy_id: UUID, number: int) -> Response:
        return Response(VersionCheckSerializer(self._facts(strategy_id, number)).data)

    @extend_schema(
        operation_id="strategy_version_check_again",
        summary="Have a version checked again",
        description="In the background. A check that waits or runs already goes on as it is.",
        request=None,
        responses={202: VersionCheckSerializer},
    )
    def post(self, request: Request, strategy_id: UUID, number: int) -> Response:
        VersionCheck.objects.filter(pk=self._find(strategy_id, number).pk).request_again()
        facts = self._facts(strategy_id, number)
        return Response(VersionCheckSerializer(facts).data, status=status.HTTP_202_ACCEPTED)

    def _find(self, strategy_id: UUID, number: int) -> StrategyVersion:
        versions = StrategyVersion.objects.visible_to(cast(User, self.request.user)).select_related("lookahead_check")
        return get_object_or_404(versions, strategy_id=strategy_id, number=number)

    def _facts(self, strategy_id: UUID, number: int) -> dict[str, Any]:
        check = getattr(self._find(strategy_id, number), "lookahead_check", None)
        names = ("n_bars", "n_orders", "n_runs", "seconds", "difference", "failure")
        verdict = check.verdict if check else {}
        return {
            "status": check.status if check else NOT_CHECKED,
            "requested_at": check.requested_at if check else None,
            "checked_at": check.checked_at if check else None,
            "data_checked": verdict.get("data"),
            "jail_level": check.jail_level if check else None,
            **{name: verdict.get(name) for name in names},
        }
