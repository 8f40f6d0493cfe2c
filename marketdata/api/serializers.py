"""Shapes of market data in the API. They only describe: queries are checked in marketdata.history."""

from typing import Any

from rest_framework import serializers

from marketdata.models import SeriesKind


class FiltersSerializer(serializers.Serializer[Any]):
    valid_from = serializers.DateField()
    source = serializers.CharField()  # type: ignore[assignment]
    tick_size = serializers.FloatField()
    step_size = serializers.FloatField()
    min_qty = serializers.FloatField()
    min_notional = serializers.FloatField()
    liquidation_fee_rate = serializers.FloatField()


class TiersSerializer(serializers.Serializer[Any]):
    valid_from = serializers.DateField()
    source = serializers.CharField()  # type: ignore[assignment]
    tiers = serializers.JSONField()


class HeldSeriesSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=SeriesKind.choices)
    timeframe = serializers.CharField(allow_blank=True, help_text="Empty for funding.")
    is_synthetic = serializers.BooleanField(help_text="Made up for trying the site.")
    n_rows = serializers.IntegerField()
    first_ms = serializers.IntegerField()
    last_ms = serializers.IntegerField()
    end_ms = serializers.IntegerField(help_text="Where the last candle closes.")
    gaps = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField(), min_length=2, max_length=2),
        help_text="Half-open [from_ms, to_ms) stretches without candles.",
    )
    n_no_trade = serializers.IntegerField(help_text="Candles without a trade: no order fills on them.")
    n_off_grid = serializers.IntegerField(help_text="Candles that open beside the grid: they are no bars.")
    n_duplicates = serializers.IntegerField()
    revision = serializers.CharField(help_text="Changes exactly when a row does.")


class OfferedTimeframeSerializer(serializers.Serializer[Any]):
    timeframe = serializers.CharField()
    is_synthetic = serializers.BooleanField()
    built_from = serializers.CharField(allow_null=True, help_text="The timeframe of the rows, or null: held as it is.")
    first_ms = serializers.IntegerField()
    end_ms = serializers.IntegerField(help_text="Where the last candle that is wholly held closes.")
    n_rows = serializers.IntegerField(help_text="Candles of which any row is held.")
    gaps = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField(), min_length=2, max_length=2),
        help_text="Half-open [from_ms, to_ms) stretches without candles.",
    )


class SymbolSerializer(serializers.Serializer[Any]):
    market = serializers.ChoiceField(choices=["spot", "usdm"])
    symbol = serializers.CharField()
    base_asset = serializers.CharField()
    quote_asset = serializers.CharField(allow_blank=True)
    filters = FiltersSerializer(many=True, help_text="Newest first.")
    margin_tiers = TiersSerializer(many=True)
    series = HeldSeriesSerializer(many=True)
    timeframes = OfferedTimeframeSerializer(many=True, help_text="What runs can have, as held or built.")


class CandleSerializer(serializers.Serializer[Any]):
    time_ms = serializers.IntegerField(help_text="When the candle opens, UTC.")
    open = serializers.FloatField()
    high = serializers.FloatField()
    low = serializers.FloatField()
    close = serializers.FloatField()
    volume = serializers.FloatField(help_text="In the base asset.")
    complete = serializers.BooleanField(help_text="False: lacks some of its rows, or opens beside the grid.")


class HistorySerializer(serializers.Serializer[Any]):
    market = serializers.CharField()
    symbol = serializers.CharField()
    timeframe = serializers.CharField()
    source_timeframe = serializers.CharField(help_text="Of the rows that the candles are, or are built from.")
    is_synthetic = serializers.BooleanField()
    revision = serializers.CharField(help_text="Of the series of those rows.")
    next_start_ms = serializers.IntegerField(allow_null=True, help_text="start_date of the next page, or null.")
    candles = CandleSerializer(many=True)
