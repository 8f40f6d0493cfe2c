"""Shapes of series and uploads in the API. They only describe: rules live in uploads.service."""

from typing import Any

from rest_framework import serializers

from marketdata.models import Market, SeriesKind, SeriesOrigin, Upload

TIMES = "int64 ms since 1970, UTC."


class SeriesSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    market = serializers.ChoiceField(choices=Market.values)
    symbol = serializers.CharField()
    kind = serializers.ChoiceField(choices=SeriesKind.choices)
    timeframe = serializers.CharField(allow_blank=True, help_text="Empty for funding.")
    origin = serializers.ChoiceField(choices=SeriesOrigin.values, help_text="uploaded: your own.")
    is_private = serializers.BooleanField(help_text="Yours: seen and used by you alone.")
    is_synthetic = serializers.BooleanField(help_text="Made up for trying the site.")
    n_rows = serializers.IntegerField()
    first_ms = serializers.IntegerField(help_text=TIMES)
    last_ms = serializers.IntegerField()
    end_ms = serializers.IntegerField(help_text="Where the last candle closes.")
    n_gaps = serializers.IntegerField()
    n_missing = serializers.IntegerField(help_text="Candles that the gaps lack; 0 for funding.")
    n_no_trade = serializers.IntegerField(help_text="Candles without a trade: no order fills on them.")
    n_off_grid = serializers.IntegerField(help_text="Candles that open beside the grid: they are no bars.")
    n_duplicates = serializers.IntegerField(help_text="Rows that a file gave twice.")
    n_jumps = serializers.IntegerField(help_text="Candles far away from the one before, or with a very long wick.")
    n_bytes = serializers.IntegerField()
    n_segments = serializers.IntegerField()
    revision = serializers.CharField(help_text="Changes exactly when a row does.")
    links = serializers.DictField(child=serializers.CharField())


class SourceSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    sha256 = serializers.CharField(help_text="Of the file as it came.")
    n_rows = serializers.IntegerField()
    n_duplicates = serializers.IntegerField()
    n_out_of_order = serializers.IntegerField()


class SegmentSerializer(serializers.Serializer[Any]):
    """One immutable file: one UTC month. A replaced one is kept while runs pin it."""

    month = serializers.DateField(help_text="Its first day.")
    revision = serializers.IntegerField()
    is_current = serializers.BooleanField()
    sha256 = serializers.CharField()
    n_rows = serializers.IntegerField()
    first_ms = serializers.IntegerField()
    last_ms = serializers.IntegerField()
    n_bytes = serializers.IntegerField()
    sources = SourceSerializer(many=True)
    quality = serializers.JSONField(help_text="The quality report of its rows.")
    created_at = serializers.DateTimeField()


class SeriesDetailSerializer(SeriesSerializer):
    gaps = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField(), min_length=2, max_length=2),
        help_text="Half-open [from_ms, to_ms) stretches without candles.",
    )
    segments = SegmentSerializer(many=True)


class RenameSerializer(serializers.Serializer[Any]):
    symbol = serializers.CharField(help_text="Such as BTCUSDT; it gets _MY behind it.")


class UploadRequestSerializer(serializers.Serializer[Any]):
    """multipart/form-data."""

    file = serializers.FileField(help_text="A CSV of candles with a header, as it is, gzipped, or one in a zip.")
    symbol = serializers.CharField(help_text="Such as BTCUSDT; it gets _MY behind it. One that you have is extended.")
    market = serializers.ChoiceField(choices=Market.values)
    timeframe = serializers.CharField(required=False, help_text="Default: read off the rows.")
    rules = serializers.CharField(
        required=False, help_text="A symbol whose order rules and tiers are copied. Default: plain ones, that say so."
    )


class UploadSerializer(serializers.ModelSerializer[Upload]):
    """A file that was handed over. Ask again until `status` is succeeded or failed."""

    series = serializers.IntegerField(source="series_id", allow_null=True, help_text="The id of what it became.")
    log = serializers.SerializerMethodField(help_text="What became of each month.")

    class Meta:
        model = Upload
        fields = (
            "id", "file_name", "n_bytes", "market", "symbol", "timeframe", "rules_from", "status", "created_at",
            "finished_at", "failure_code", "failure", "series", "n_rows", "report", "log",
        )  # fmt: skip
        read_only_fields = fields

    def get_log(self, upload: Upload) -> list[str]:
        return upload.log.splitlines()
