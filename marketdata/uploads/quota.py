"""How much of a user's own data is held, and how much may be."""

from dataclasses import dataclass

from django.db.models import Sum

from accounts.models import User
from accounts.quotas import limits_of
from marketdata.errors import UploadRefused
from marketdata.models import Segment, Series

MB = 2**20  # as pages write it


@dataclass(frozen=True, slots=True)
class Use:
    n_series: int
    max_series: int
    n_bytes: int
    max_bytes: int
    max_file_bytes: int

    @property
    def percent(self) -> int:
        return min(100, round(100 * self.n_bytes / self.max_bytes))


def measure_use(user: User) -> Use:
    """Replaced files count as long as they are kept."""
    limits = limits_of(user)
    own = Series.objects.owned_by(user)
    n_bytes = Segment.objects.filter(series__in=own).aggregate(total=Sum("n_bytes"))["total"] or 0
    return Use(
        n_series=own.count(),
        max_series=limits.max_private_series,
        n_bytes=n_bytes,
        max_bytes=limits.max_private_mb * MB,
        max_file_bytes=limits.max_upload_mb * MB,
    )


def check_use(user: User) -> None:
    """Raises UploadRefused: too_many_series, no_room."""
    use = measure_use(user)
    if use.n_series > use.max_series:
        text = f"You may keep {use.max_series} series of your own. Delete one first."
        raise UploadRefused("", "too_many_series", text)
    if use.n_bytes > use.max_bytes:
        text = f"Your own series would take {use.n_bytes / MB:,.1f} MB; {use.max_bytes / MB:,.0f} MB are allowed."
        raise UploadRefused("file", "no_room", f"{text} Delete one, or upload a shorter span.")
