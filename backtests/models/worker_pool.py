"""A pool of workers: the queue's cluster of one host, which says once in a while that it is there."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from django.db import models
from django.db.models import Sum
from django.db.models.functions import Now

SILENCE = timedelta(seconds=8)  # a pool that was not heard of for this long is taken for gone


class WorkerPoolQuerySet(models.QuerySet["WorkerPool"]):
    def alive(self) -> "WorkerPoolQuerySet":
        return self.filter(seen_at__gt=Now() - SILENCE)

    def count_workers(self) -> int:
        """How many runs all pools that are alive can make at the same time."""
        return self.alive().aggregate(n=Sum("n_workers"))["n"] or 0

    def are_getting_ready(self) -> bool:
        """Whether there is no worker yet, but a pool that soon has some."""
        return not self.count_workers() and self.alive().exists()

    def find_other_host(self, host: str) -> str:
        """The name of another host with a pool that is alive; empty when there is none."""
        name = self.alive().exclude(name__startswith=f"{host}:").values_list("name", flat=True).first()
        return name.rpartition(":")[0] if name else ""

    def beat(self, name: str, n_workers: int, jail: Mapping[str, Any] | None = None) -> None:
        """Say that this pool is there, by the database's clock. `jail`: a JailState as JSON, empty until known."""
        news = {"n_workers": n_workers, "seen_at": Now(), "jail": dict(jail or {})}
        if not self.filter(name=name).update(**news):
            self.update_or_create(name=name, defaults=news)


class WorkerPool(models.Model):
    name = models.CharField(max_length=120, unique=True, help_text="Host, and the process that started the pool.")
    n_workers = models.PositiveSmallIntegerField()  # 0 while it gets ready
    seen_at = models.DateTimeField()
    jail = models.JSONField(
        default=dict, help_text="As operations.readiness.JailState gives it; empty until it is known."
    )

    objects = WorkerPoolQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name
