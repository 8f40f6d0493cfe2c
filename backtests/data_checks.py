"""Whether the candles that finished runs have read are still the ones that are held, and how many bars differ.

A run is revised exactly when a row that it has read (warm-up and span; candles, finer candles, marks, funding) came,
went, or changed in a column that it reads. A replaced file whose rows of the span stayed equal revises nothing. What
was not held at all when the run was requested is no revision: the run's own warnings tell of it.

The answer is computed when a list or page first asks for it, and kept until one of the series changes.
"""

import logging
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Q

from backtests.engine.request import RunRequest
from backtests.models import BacktestRun, DataCheck
from backtests.runner.feed import BAR_COLUMNS, PATH_COLUMNS
from marketdata.home import candle_store
from marketdata.models import PRIVATE_SUFFIX, Series, SeriesKind
from marketdata.reading import CandleFiles
from marketdata.revisions import Pinned, Stamps, count_bars, find_changed_stamps, find_series, read_states
from marketdata.run_data import RunData, SymbolData
from marketdata.store import StoreError

__all__ = ["check_run", "check_runs"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Reading:
    """One kind of row that a run has read of one symbol."""

    symbol: str
    name: str  # candles, finer, mark, funding
    pinned: Pinned


@dataclass(frozen=True, slots=True)
class _Difference:
    reading: _Reading
    series: Series
    stamps: Stamps

    def to_json(self) -> dict[str, str | int]:
        return {
            "symbol": self.reading.symbol,
            "kind": self.reading.name,
            "timeframe": self.reading.pinned.timeframe,
            "n_rows_that_differ": len(self.stamps),
            "first_ms": int(self.stamps[0]),
            "last_ms": int(self.stamps[-1]),
        }


def check_run(run: BacktestRun) -> DataCheck | None:
    """The check of one run; None while it is not finished, or of one that pins nothing."""
    return check_runs([run]).get(run.pk)


def check_runs(runs: Iterable[BacktestRun]) -> dict[uuid.UUID, DataCheck]:
    """The checks of those runs that are finished, by run. Files are opened only for what changed since then."""
    finished = [run for run in runs if run.is_finished and run.run_data]
    kept = DataCheck.objects.in_bulk([run.pk for run in finished])
    states = read_states(int(pk) for check in kept.values() for pk in check.series)
    return {
        run.pk: check if (check := kept.get(run.pk)) and _is_fresh(check, states) else _check(run) for run in finished
    }


def _is_fresh(check: DataCheck, states: dict[int, str]) -> bool:
    """A gone series may come back, and there is no state to tell that by."""
    return not check.is_gone and all(states.get(int(pk)) == state for pk, state in check.series.items())


def _check(run: BacktestRun) -> DataCheck:
    request = RunRequest.parse(run.request)
    symbols = RunData.from_json(run.run_data).symbols
    readings = [reading for symbol in symbols for reading in _list_readings(symbol, request)]
    read = _find_read_series(run, readings)
    states = read_states(series.pk for series in read.values())  # before the files: a later change is seen next time
    check = DataCheck(
        run=run, series={str(pk): state for pk, state in states.items()}, is_gone=len(read) < len(readings)
    )
    try:
        found = list(_compare(read))
    except StoreError as error:
        logger.warning("The data of run %s cannot be compared: %s", run.pk, error)
        check.is_revised = True  # its files are not those held now, and nobody can tell how they differ
        return check
    _note(check, found, request.timeframe)
    values = {f.name: getattr(check, f.name) for f in DataCheck._meta.fields if f.name not in ("run", "checked_at")}
    return DataCheck.objects.update_or_create(run=run, defaults=values)[0]


def _list_readings(data: SymbolData, request: RunRequest) -> Iterator[_Reading]:
    """As runner.feed reads them."""
    warm_ms = (request.from_ms - request.warmup_bars * request.timeframe_ms, request.to_ms)
    span_ms = (request.from_ms, request.to_ms)
    for name, kind, files, asked_ms, columns in (
        ("candles", SeriesKind.TRADE, data.bar_files, warm_ms, BAR_COLUMNS[1:]),
        ("finer", SeriesKind.TRADE, data.fine_files, span_ms, PATH_COLUMNS[1:]),
        ("mark", SeriesKind.MARK, data.mark_files, span_ms, PATH_COLUMNS[1:]),
        ("funding", SeriesKind.FUNDING, CandleFiles(data.funding, "", ""), warm_ms, ()),
    ):
        if files.refs:
            pinned = Pinned(kind.value, files.refs, *files.clip(*asked_ms), files.timeframe, columns)
            yield _Reading(data.rules.symbol, name, pinned)


def _find_read_series(run: BacktestRun, readings: Sequence[_Reading]) -> dict[_Reading, Series]:
    """The series of each reading: the one that most of its files are, or were, a part of. Gone ones are left out.

    A private series may have another symbol by now.
    """
    symbols = Q(instrument__symbol__in={reading.symbol for reading in readings})
    held = Series.objects.visible_to(run.owner).filter(
        symbols | Q(instrument__owner=run.owner), instrument__market=run.market
    )
    by_file = find_series(held.select_related("instrument"), (reading.pinned for reading in readings))
    found = {}
    for reading in readings:
        own = [
            series
            for ref in reading.pinned.refs
            for series in by_file.get((reading.pinned.kind, ref.sha256), ())
            if series.instrument.symbol == reading.symbol
            or (series.is_private and reading.symbol.endswith(PRIVATE_SUFFIX))
        ]
        if own:
            named = [series for series in own if series.instrument.symbol == reading.symbol]
            found[reading] = Counter(named or own).most_common(1)[0][0]
    return found


def _compare(read: Mapping[_Reading, Series]) -> Iterator[_Difference]:
    store = candle_store()
    for reading, series in read.items():
        stamps = find_changed_stamps(store, reading.pinned, series)
        if len(stamps):
            yield _Difference(reading, series, stamps)


def _note(check: DataCheck, found: Sequence[_Difference], timeframe: str) -> None:
    by_symbol: dict[str, list[Stamps]] = defaultdict(list)
    n_others = {"mark": 0, "funding": 0}
    for difference in found:
        if difference.reading.name in n_others:
            n_others[difference.reading.name] += len(difference.stamps)
        else:
            by_symbol[difference.reading.symbol].append(difference.stamps)
    check.is_revised = bool(found)
    check.n_bars = sum(count_bars(stamps, timeframe) for stamps in by_symbol.values())
    check.n_marks, check.n_funding = n_others["mark"], n_others["funding"]
    check.differences = [difference.to_json() for difference in found]
