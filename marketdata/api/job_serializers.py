"""Shapes of ingest jobs in the API. They only describe: requests are checked in marketdata.fetch.fetch_request."""

from typing import Any

from rest_framework import serializers

from marketdata.models import IngestJob, Market
from marketdata.timeframes import TIMEFRAME_MS


class FetchRequestSerializer(serializers.Serializer[Any]):
    """What to fetch from the exchange's archive."""

    market = serializers.ChoiceField(choices=Market.values)
    symbols = serializers.ListField(child=serializers.CharField(), help_text="For example BTCUSDT; at most 50.")
    timeframe = serializers.ChoiceField(choices=list(TIMEFRAME_MS))
    to = serializers.CharField(
        required=False, allow_blank=True, help_text="A month or a day, included. Empty: up to the newest file."
    )
    mark = serializers.BooleanField(required=False, default=False, help_text="Mark prices too; futures only.")
    funding = serializers.BooleanField(required=False, default=False, help_text="Funding rates too; futures only.")

    def get_fields(self) -> dict[str, "serializers.Field[Any, Any, Any, Any]"]:
        fields = super().get_fields()
        fields["from"] = serializers.CharField(help_text="A month (2025-01) or a day (2025-01-31).")
        return fields


class MissingSerializer(serializers.Serializer[Any]):
    series = serializers.CharField()
    period = serializers.CharField(help_text="2025-01, 2025-01-05, or two of them with `to` between.")
    reason = serializers.CharField(
        help_text="not_over, not_published, not_in_archive, before_first, nothing or no_rows."
    )
    message = serializers.CharField()


class PlannedSeriesSerializer(serializers.Serializer[Any]):
    series = serializers.CharField(source="name")
    n_files = serializers.IntegerField()
    n_files_held = serializers.IntegerField(source="n_held", help_text="Taken in before.")
    n_bytes = serializers.IntegerField(help_text="0 where the archive does not list its files.")
    first = serializers.CharField(allow_blank=True)
    last = serializers.CharField(allow_blank=True)
    missing = MissingSerializer(many=True)


class PlanSerializer(serializers.Serializer[Any]):
    """What a fetch would do."""

    request = serializers.SerializerMethodField(help_text="As it is understood.")
    n_files = serializers.IntegerField()
    n_bytes = serializers.IntegerField()
    series = PlannedSeriesSerializer(many=True)

    def get_request(self, preview: Any) -> dict[str, Any]:
        return dict(preview.request.to_json())


class IngestJobSerializer(serializers.ModelSerializer[IngestJob]):
    """A fetch or an import, and where it stands. `log` and `outcome` are empty in lists."""

    requested_by = serializers.EmailField(source="requested_by.email", allow_null=True, default=None)
    can_resume = serializers.BooleanField(read_only=True)
    request = serializers.DictField(read_only=True)
    progress = serializers.DictField(read_only=True)

    class Meta:
        model = IngestJob
        fields: tuple[str, ...] = (
            *("id", "kind", "description", "request", "requested_by", "status", "stage", "progress"),
            *("cancel_requested", "can_resume", "n_files", "n_files_done", "n_rows", "failure_code", "failure"),
            *("created_at", "started_at", "finished_at"),
        )
        read_only_fields = fields


class IngestJobDetailSerializer(IngestJobSerializer):
    outcome = serializers.DictField(
        read_only=True, help_text="segments, missing, refused (lists), and counts of what was left alone."
    )

    class Meta(IngestJobSerializer.Meta):
        fields: tuple[str, ...] = (*IngestJobSerializer.Meta.fields, "outcome", "log")
        read_only_fields = fields
