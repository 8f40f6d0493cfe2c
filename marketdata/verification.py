"""Whether the candle files are what the rows say: every hash, and every row's facts, against the file itself."""

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from marketdata.models import Segment
from marketdata.segments import ref_of
from marketdata.store import CandleStore, SegmentDamaged, SegmentMismatch, SegmentMissing, SegmentRef, StoreError

type OnProgress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with one candle file.

    kind: missing (no file), damaged (other bytes than its name says), mismatch (other rows than the database says),
    unreadable (the store does not answer or refuses). Without `segment_id` only runs name it.
    """

    kind: str
    sha256: str
    message: str
    segment_id: int | None = None
    series_id: int | None = None
    series: str = ""
    month: str = ""
    revision: int | None = None
    is_current: bool = False
    is_pinned: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check found. Files without a row are no damage: the sweeper removes them in time."""

    n_checked: int
    damage: tuple[Damage, ...]
    files_without_row: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        return not self.damage

    def to_json(self) -> dict[str, Any]:
        return {
            "is_sound": self.is_sound,
            "n_checked": self.n_checked,
            "damage": [damage.to_json() for damage in self.damage],
            "files_without_row": list(self.files_without_row),
        }


def verify_candles(
    store: CandleStore, pinned: Iterable[SegmentRef] = (), *, on_progress: OnProgress | None = None
) -> Verification:
    """Read every file that a row or one of `pinned` names, where it lies, and compare. Changes nothing.

    on_progress(n_done, n_total, series) is called after every file. Raises StoreError if the store cannot be listed.
    """
    pins = {ref.sha256: ref for ref in pinned}
    files = {file.name for file in store.files.list_files()}
    rows = Segment.objects.select_related("series__instrument").defer("quality", "source_sha256s")
    # All at once: a cursor that stays open for hours would keep SQLite from clearing its log.
    segments = list(rows.order_by("series", "month", "revision"))
    named = {segment.sha256 for segment in segments}
    homeless = [ref for ref in pins.values() if ref.sha256 not in named]
    damage: list[Damage] = []
    checks = [
        *(
            (str(segment.series), partial(_verify_segment, store, segment, segment.sha256 in pins))
            for segment in segments
        ),
        *(("pinned by runs", partial(_verify_pin, store, ref)) for ref in homeless),
    ]
    for n_done, (what, check) in enumerate(checks, start=1):
        if found := check():
            damage.append(found)
        if on_progress:
            on_progress(n_done, len(checks), what)
    return Verification(len(named | pins.keys()), tuple(damage), tuple(sorted(files - named - pins.keys())))


def _verify_segment(store: CandleStore, segment: Segment, is_pinned: bool) -> Damage | None:
    found = _find_damage(store, ref_of(segment)) or _find_contradiction(segment)
    if found is None:
        return None
    return Damage(
        *found,
        segment_id=segment.pk,
        series_id=segment.series_id,
        series=str(segment.series),
        month=f"{segment.month:%Y-%m}",
        revision=segment.revision,
        is_current=segment.is_current,
        is_pinned=is_pinned,
    )


def _verify_pin(store: CandleStore, ref: SegmentRef) -> Damage | None:
    found = _find_damage(store, ref)
    return None if found is None else Damage(*found, is_pinned=True)


def _find_damage(store: CandleStore, ref: SegmentRef) -> tuple[str, str, str] | None:
    """Kind, hash and message; None where all is well."""
    try:
        store.verify(ref)
    except StoreError as error:
        kinds = ((SegmentMissing, "missing"), (SegmentMismatch, "mismatch"), (SegmentDamaged, "damaged"))
        kind = next((kind for of, kind in kinds if isinstance(error, of)), "unreadable")
        return kind, ref.sha256, str(error)
    return None


def _find_contradiction(segment: Segment) -> tuple[str, str, str] | None:
    """A file that is what its row says may lie in the wrong month."""
    first, last = (dt.datetime.fromtimestamp(ms / 1000, dt.UTC) for ms in (segment.first_ms, segment.last_ms))
    if {(first.year, first.month), (last.year, last.month)} == {(segment.month.year, segment.month.month)}:
        return None
    text = f"The rows of the candle file {segment.sha256[:12]} lie outside {segment.month:%Y-%m}."
    return "mismatch", segment.sha256, text
