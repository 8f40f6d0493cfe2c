"""What can be tested: instruments with dated rules, and series of candles kept as immutable files.

The files are the truth (see store.py); these rows follow them.
"""

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from marketdata.ingest_job import IngestJob as IngestJob
from marketdata.upload import Upload as Upload

if TYPE_CHECKING:
    from accounts.models import User

PRIVATE_SUFFIX = "_MY"  # of the symbol of every private instrument, and of no other


class Market(models.TextChoices):
    SPOT = "spot", "Spot"
    USDM = "usdm", "USD-M futures"


class SeriesKind(models.TextChoices):
    TRADE = "trade", "Last price"
    MARK = "mark", "Mark price"
    FUNDING = "funding", "Funding rate"


class SeriesOrigin(models.TextChoices):
    EXCHANGE = "exchange", "Exchange"
    SYNTHETIC = "synthetic", "Synthetic"  # made up, labelled so wherever it shows
    UPLOADED = "uploaded", "Uploaded"  # a user's own: only ever of a private instrument


class InstrumentQuerySet(models.QuerySet["Instrument"]):
    def shared(self) -> "InstrumentQuerySet":
        """Everyone's."""
        return self.filter(owner=None)

    def visible_to(self, user: "User | None") -> "InstrumentQuerySet":
        """Everyone's and the user's own; for None everyone's."""
        return self.filter(Q(owner=None) | Q(owner=user)) if user is not None else self.shared()


class Instrument(models.Model):
    """What is traded, and by whose rules. One with an owner is private, and so is every series of it.

    A private symbol ends in `_MY` and no other does, so that no upload can be taken for the exchange's own.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="private_instruments",
        help_text="Who alone sees and uses it and its series; empty: everyone.",
    )
    market = models.CharField(max_length=8, choices=Market)
    symbol = models.CharField(max_length=32)
    base_asset = models.CharField(max_length=16)
    quote_asset = models.CharField(max_length=16)
    onboarded_on = models.DateField(
        null=True, blank=True, help_text="The first day on the exchange (UTC); empty: not known."
    )
    delisted_on = models.DateField(
        null=True, blank=True, help_text="The day of the delivery or the end of trading; empty: none is known."
    )

    objects = InstrumentQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["market", "symbol"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["market", "symbol"], condition=Q(owner=None), name="marketdata_instrument_unique"
            ),
            models.UniqueConstraint(
                fields=["owner", "market", "symbol"],
                condition=Q(owner__isnull=False),
                name="marketdata_instrument_private_unique",
            ),
            models.CheckConstraint(
                condition=Q(owner__isnull=True) & ~Q(symbol__endswith=PRIVATE_SUFFIX)
                | Q(owner__isnull=False, symbol__endswith=PRIVATE_SUFFIX),
                name="marketdata_instrument_private_iff_suffix",
            ),
            models.CheckConstraint(
                condition=Q(delisted_on__gte=models.F("onboarded_on"))
                | Q(delisted_on__isnull=True)
                | Q(onboarded_on__isnull=True),
                name="marketdata_instrument_days_in_order",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.get_market_display()}"


class FilterSet(models.Model):
    """The exchange's order filters and liquidation fee of one instrument from a day on."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="filter_sets")
    valid_from = models.DateField(help_text="The day from which they are known to hold.")
    source = models.CharField(max_length=200)
    tick_size = models.FloatField()
    step_size = models.FloatField()
    min_qty = models.FloatField()
    min_notional = models.FloatField()
    liquidation_fee_rate = models.FloatField(default=0.0)

    class Meta:
        ordering: ClassVar = ["instrument", "-valid_from"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["instrument", "valid_from"], name="marketdata_filter_set_unique"),
            models.CheckConstraint(
                condition=Q(
                    tick_size__gt=0, step_size__gt=0, min_qty__gte=0, min_notional__gte=0, liquidation_fee_rate__gte=0
                ),
                name="marketdata_filter_set_positive",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.instrument} filters from {self.valid_from}"


class MarginTierSet(models.Model):
    """The exchange's leverage brackets of one instrument from a day on."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="margin_tier_sets")
    valid_from = models.DateField()
    source = models.CharField(max_length=200)
    tiers = models.JSONField(
        help_text="List of {floor, cap, maintenance_rate, max_leverage, cumulative}; notional in quote currency."
    )

    class Meta:
        ordering: ClassVar = ["instrument", "-valid_from"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["instrument", "valid_from"], name="marketdata_tier_set_unique")
        ]

    def __str__(self) -> str:
        return f"{self.instrument} tiers from {self.valid_from}"


class SeriesQuerySet(models.QuerySet["Series"]):
    def shared(self) -> "SeriesQuerySet":
        """Everyone's."""
        return self.filter(instrument__owner=None)

    def visible_to(self, user: "User | None") -> "SeriesQuerySet":
        """Everyone's and the user's own; for None everyone's."""
        if user is None:
            return self.shared()
        return self.filter(Q(instrument__owner=None) | Q(instrument__owner=user))

    def owned_by(self, user: "User") -> "SeriesQuerySet":
        return self.filter(instrument__owner=user)


class Series(models.Model):
    """One kind of candle of one instrument at one timeframe."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="series")
    kind = models.CharField(max_length=8, choices=SeriesKind, default=SeriesKind.TRADE)
    timeframe = models.CharField(max_length=4, blank=True, help_text="Empty for funding, whose interval varies.")
    origin = models.CharField(max_length=10, choices=SeriesOrigin, default=SeriesOrigin.EXCHANGE)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    objects = SeriesQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["instrument", "kind", "timeframe"]
        verbose_name_plural = "series"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["instrument", "kind", "timeframe", "origin"], name="marketdata_series_unique"
            )
        ]

    def __str__(self) -> str:
        name = f"{self.instrument} {self.get_kind_display()} {self.timeframe}".strip()
        return f"{name} (synthetic)" if self.origin == SeriesOrigin.SYNTHETIC else name

    @property
    def owner(self) -> "User | None":
        return self.instrument.owner

    @property
    def is_private(self) -> bool:
        return self.instrument.owner_id is not None


class Segment(models.Model):
    """One immutable candle file: one series, one UTC month."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="segments")
    month = models.DateField(help_text="First day of the UTC month that the file covers.")
    revision = models.PositiveIntegerField(default=1)
    is_current = models.BooleanField(
        default=True, help_text="False once a newer revision replaced it; runs may still pin it."
    )
    sha256 = models.CharField(max_length=64)
    n_rows = models.PositiveIntegerField()
    first_ms = models.BigIntegerField()
    last_ms = models.BigIntegerField()
    n_bytes = models.PositiveBigIntegerField()
    source_sha256s = models.JSONField(default=list, help_text="Name and SHA-256 of every file that the rows came from.")
    quality = models.JSONField(default=dict, help_text="The QualityReport of the rows.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["series", "month", "revision"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["series", "month", "revision"], name="marketdata_segment_revision_unique"),
            models.UniqueConstraint(
                fields=["series", "month"],
                condition=Q(is_current=True),
                name="marketdata_segment_one_current",
            ),
            models.CheckConstraint(condition=Q(first_ms__lte=models.F("last_ms")), name="marketdata_segment_span"),
        ]

    def __str__(self) -> str:
        return f"{self.series} {self.month:%Y-%m} r{self.revision}"
