"""A strategy belongs to a user; its source is kept as a row of versions that never change."""

import hashlib
import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    from accounts.models import User


class StrategyQuerySet(models.QuerySet["Strategy"]):
    def visible_to(self, user: "User") -> "StrategyQuerySet":
        return self.filter(owner=user)

    def active(self) -> "StrategyQuerySet":
        return self.filter(archived_at__isnull=True)

    def archived(self) -> "StrategyQuerySet":
        return self.filter(archived_at__isnull=False)

    def with_latest(self) -> "StrategyQuerySet":
        """Adds latest_number, latest_sha256 and latest_source of the newest version, without a query per row."""
        newest = StrategyVersion.objects.filter(strategy=models.OuterRef("pk")).order_by("-number")
        return self.annotate(
            latest_number=models.Subquery(newest.values("number")[:1]),
            latest_sha256=models.Subquery(newest.values("sha256")[:1]),
            latest_source=models.Subquery(newest.values("source")[:1]),
        )


class Strategy(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="strategies")
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True, max_length=2000)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = StrategyQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-changed_at", "-id"]
        verbose_name_plural = "strategies"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["owner", "name"],
                condition=models.Q(archived_at__isnull=True),
                name="strategies_strategy_name_unique_per_owner",
                violation_error_message="You already have a strategy with this name.",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def latest_version(self) -> "StrategyVersion | None":
        return self.versions.order_by("-number").first()


class StrategyVersionQuerySet(models.QuerySet["StrategyVersion"]):
    def visible_to(self, user: "User") -> "StrategyVersionQuerySet":
        return self.filter(strategy__owner=user)


class StrategyVersion(models.Model):
    """An immutable source text."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    strategy = models.ForeignKey(Strategy, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    source = models.TextField()
    sha256 = models.CharField(max_length=64, editable=False)
    param_schema = models.JSONField(
        default=list, help_text="The parameters that the source declares, as params.py reads them."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = StrategyVersionQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["strategy", "-number"]
        indexes: ClassVar = [models.Index(fields=["-created_at"], name="strategies_version_recent")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["strategy", "number"], name="strategies_version_number_unique"),
            models.CheckConstraint(condition=models.Q(number__gte=1), name="strategies_version_number_from_one"),
        ]

    def __str__(self) -> str:
        return f"{self.strategy.name} v{self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("A strategy version never changes; save a new one.")
        self.sha256 = hash_source(self.source)
        super().save(*args, **kwargs)


def hash_source(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()
