"""Shapes of strategies in the API. What comes in is only turned into text and numbers; services hold the rules."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from strategies.models import StrategyVersion
from strategies.source_checks import check_source


class ParamSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.ChoiceField(choices=["int", "float", "bool", "str"])
    default = serializers.JSONField()
    min = serializers.FloatField(allow_null=True)
    max = serializers.FloatField(allow_null=True)
    step = serializers.FloatField(allow_null=True)
    choices = serializers.ListField(child=serializers.JSONField(), allow_null=True)


class ProblemSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField()
    column = serializers.IntegerField()
    code = serializers.CharField()
    message = serializers.CharField()
    severity = serializers.ChoiceField(choices=["error", "warning"])


class VersionSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    number = serializers.IntegerField()
    sha256 = serializers.CharField()
    created_at = serializers.DateTimeField()


class VersionDetailSerializer(VersionSerializer):
    source = serializers.CharField()  # type: ignore[assignment]
    params = serializers.SerializerMethodField()
    problems = serializers.SerializerMethodField(help_text="What the check says about the source, without running it.")

    @extend_schema_field(ParamSerializer(many=True))
    def get_params(self, version: StrategyVersion) -> list[dict[str, Any]]:
        schema: list[dict[str, Any]] = version.param_schema
        return schema

    @extend_schema_field(ProblemSerializer(many=True))
    def get_problems(self, version: StrategyVersion) -> list[dict[str, Any]]:
        return [asdict(problem) for problem in check_source(version.source)]


class StrategySerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    version = serializers.IntegerField(
        source="latest_number", allow_null=True, help_text="The newest version's number."
    )
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()
    archived_at = serializers.DateTimeField(allow_null=True)


class NewStrategySerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    source = serializers.CharField(trim_whitespace=False)  # type: ignore[assignment]
    description = serializers.CharField(default="", allow_blank=True)


class DescribeSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(required=False)
    description = serializers.CharField(required=False, allow_blank=True)


class NewVersionSerializer(serializers.Serializer[Any]):
    source = serializers.CharField(trim_whitespace=False)  # type: ignore[assignment]
    based_on = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=2**31 - 1,
        help_text="The number of the version that was edited: a newer one then gives 409 instead of being passed by.",
    )
