"""What nobody points to any more goes away: candle files, revisions, temporary files, copies.

Runs live above this app, so whoever calls says which files they have pinned.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import batched
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from marketdata.models import Segment, Series
from marketdata.store import CandleStore, SegmentRef, StoredFile

logger = logging.getLogger(__name__)

type FindPinned = Callable[[], Iterable[SegmentRef]]

GRACE_S = 24 * 3600.0  # an import may take hours between its first file and its commit
BATCH = 20  # files removed while importers wait


@dataclass(frozen=True, slots=True)
class Swept:
    """What was removed, or would be: segments by hash, the others by path or count."""

    orphans: tuple[str, ...] = ()
    n_bytes: int = 0
    leftovers: tuple[str, ...] = ()
    n_copies: int = 0
    n_revisions: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def sweep_candles(
    store: CandleStore,
    find_pinned: FindPinned,
    *,
    grace_s: float = GRACE_S,
    drop_superseded_after: timedelta | None = None,
    is_dry: bool = False,
) -> Swept:
    """Remove candle files that neither a row nor a pin names, and what killed writers left. Safe to run any number of
    times at once, while others import.

    Nothing that was written within `grace_s` goes. Replaced revisions stay, unless `drop_superseded_after` is given:
    then those go that were replaced so long ago and that no run pins. Raises StoreError.
    """
    n_revisions = 0
    if drop_superseded_after is not None:
        n_revisions = drop_superseded(find_pinned, drop_superseded_after, is_dry=is_dry)
    old_before = time.time() - grace_s
    # Files first, rows second: what is published and committed in between is then seen as named.
    files = list(store.files.list_files())
    named = _find_named()
    orphans = [file for file in files if file.name not in named and file.written_s < old_before]
    if orphans:
        pinned = {ref.sha256 for ref in find_pinned()}
        orphans = [file for file in orphans if file.name not in pinned]
    if not is_dry:
        orphans = list(_remove(store, orphans))
    gone = {file.name for file in orphans}
    return Swept(
        orphans=tuple(sorted(gone)),
        n_bytes=sum(file.n_bytes for file in orphans),
        leftovers=(
            *store.files.delete_leftovers(grace_s, is_dry=is_dry),
            *store.cache.delete_leftovers(grace_s, is_dry=is_dry),
        ),
        n_copies=_sweep_copies(store, {file.name for file in files} - gone, old_before, is_dry=is_dry),
        n_revisions=n_revisions,
    )


def drop_superseded(find_pinned: FindPinned, after: timedelta, *, is_dry: bool = False) -> int:
    """Remove the rows of revisions that were replaced longer than `after` ago and that no run pins. Returns how many.

    Their files have no row then, unless another revision has the same bytes.
    """
    newer = Segment.objects.filter(
        series=OuterRef("series"),
        month=OuterRef("month"),
        revision__gt=OuterRef("revision"),
        created_at__lt=timezone.now() - after,
    )
    replaced = dict(
        Segment.objects.filter(Exists(newer), is_current=False).order_by().values_list("pk", "sha256").iterator()
    )
    pinned = {ref.sha256 for ref in find_pinned()} if replaced else set()
    doomed = [pk for pk, sha256 in replaced.items() if sha256 not in pinned]
    if not is_dry:
        for batch in batched(doomed, 500):
            Segment.objects.filter(pk__in=batch, is_current=False).delete()
    return len(doomed)


def _find_named(names: Sequence[str] | None = None) -> set[str]:
    segments = Segment.objects.order_by()
    if names is not None:
        segments = segments.filter(sha256__in=names)
    return set(segments.values_list("sha256", flat=True).iterator())


def _remove(store: CandleStore, orphans: Iterable[StoredFile]) -> Iterator[StoredFile]:
    """Those that are orphans still, once nobody is about to commit a row for them."""
    for batch in batched(orphans, BATCH):
        with no_import():
            named = _find_named([file.name for file in batch])
            for file in batch:
                if file.name not in named:
                    store.files.delete(file.name)
                    logger.info("Removed the candle file %s, which nobody points to.", file.name)
                    yield file


@contextmanager
def no_import() -> Iterator[None]:
    """While this is held, no importer is between its file and its row: all that are committed can be seen.

    SQLite has one writer at a time. Elsewhere importers lock their series' row before they publish, and wait for this.
    """
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {connection.ops.quote_name(Series._meta.db_table)} IN EXCLUSIVE MODE")
        yield


def _sweep_copies(store: CandleStore, names: set[str], old_before: float, *, is_dry: bool) -> int:
    """Drop what this host keeps of segments that are not there any more."""
    n_dropped = 0
    for name, paths in store.cache.names().items():
        if name in names:
            continue
        for path in paths:
            if store.cache.written_s(path) < old_before:
                n_dropped += 1
                if not is_dry:
                    store.cache.drop(path)
    return n_dropped
