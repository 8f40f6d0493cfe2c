"""Shapes of the account's part of the API."""

from typing import Any

from rest_framework import serializers

from accounts.services import DEFAULT_TOKEN_DAYS, MAX_TOKEN_DAYS


class SignInSerializer(serializers.Serializer[Any]):
    email = serializers.EmailField()
    password = serializers.CharField(trim_whitespace=False, max_length=256, write_only=True)
    name = serializers.CharField(max_length=80, default="Signed in by the API", help_text="To recognise the token by.")
    days = serializers.IntegerField(
        min_value=1, max_value=MAX_TOKEN_DAYS, default=DEFAULT_TOKEN_DAYS, help_text="How long the token works."
    )


class TokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(help_text="Send it as `Authorization: Token ...`. It is shown only here.")
    name = serializers.CharField()
    expires_at = serializers.DateTimeField()


class LimitsSerializer(serializers.Serializer[Any]):
    run_wall_clock_s = serializers.IntegerField()
    run_cpu_s = serializers.IntegerField()
    run_memory_mb = serializers.IntegerField()
    max_orders = serializers.IntegerField()
    max_log_bytes = serializers.IntegerField()
    max_plot_points = serializers.IntegerField()
    max_output_bytes = serializers.IntegerField()
    max_concurrent_runs = serializers.IntegerField()
    max_queued_runs = serializers.IntegerField()
    max_strategies = serializers.IntegerField()
    max_source_bytes = serializers.IntegerField()
    max_api_tokens = serializers.IntegerField()
    max_upload_mb = serializers.IntegerField()
    max_private_mb = serializers.IntegerField()
    max_private_series = serializers.IntegerField()


class AccountSerializer(serializers.Serializer[Any]):
    email = serializers.EmailField()
    display_name = serializers.CharField()
    is_staff = serializers.BooleanField()
    limits = LimitsSerializer()
