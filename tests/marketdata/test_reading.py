"""However rows lie in files and whatever span is asked, the candles are those of all rows."""

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.aggregation import build_candles
from marketdata.ingest.merging import split_months
from marketdata.reading import CandleFiles, read_timeframe
from marketdata.store import SegmentRef
from marketdata.timeframes import HOUR_MS, TIMEFRAME_MS, builds
from tests.marketdata.candle_makers import JANUARY_MS, make_candles

N_HOURS = 24 * 120
NAMES = ("open_ms", "open", "high", "low", "close", "volume")


@dataclass
class Months:
    """A CandleSource in memory."""

    held: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)

    def publish(self, rows) -> SegmentRef:
        name = f"{len(self.held):064}"
        self.held[name] = rows.columns()
        return SegmentRef(name, len(rows), int(rows.open_ms[0]), int(rows.open_ms[-1]))

    def read_columns(self, names, refs, from_ms, to_ms):
        parts = []
        for ref in refs:
            columns = self.held[ref.sha256]
            inside = (columns["open_ms"] >= from_ms) & (columns["open_ms"] < to_ms)
            parts.append({name: columns[name][inside] for name in names})
        return {name: np.concatenate([part[name] for part in parts]) for name in names}


@settings(max_examples=60, deadline=None)
@given(
    timeframe=st.sampled_from([name for name in TIMEFRAME_MS if builds("1h", name) and name != "1h"]),
    first=st.integers(0, 200),
    missing=st.sets(st.integers(0, N_HOURS - 1), max_size=300),
    span=st.tuples(st.integers(-100, N_HOURS), st.integers(1, N_HOURS)),
    minutes=st.tuples(st.integers(0, 59), st.integers(0, 59)),
)
def test_candles_of_a_span_are_those_of_all_rows_that_are_wholly_held(timeframe, first, missing, span, minutes):
    rows = make_candles(N_HOURS, "1h", JANUARY_MS + first * HOUR_MS)
    rows = rows.take(np.delete(np.arange(N_HOURS), sorted(missing - {0, N_HOURS - 1})))
    source = Months()
    files = CandleFiles(tuple(source.publish(month) for _, month in split_months(rows)), "1h", timeframe)
    from_ms, to_ms = (
        JANUARY_MS + at * HOUR_MS + m * 60_000 for at, m in zip((span[0], sum(span)), minutes, strict=True)
    )
    built = build_candles({name: getattr(rows, name) for name in NAMES}, timeframe)
    opens = built.columns["open_ms"]
    is_whole = (opens >= rows.open_ms[0]) & (opens + TIMEFRAME_MS[timeframe] <= rows.open_ms[-1] + HOUR_MS)
    expected = is_whole & (opens >= from_ms) & (opens < to_ms)
    found = read_timeframe(source, files, NAMES, from_ms, to_ms)
    for name in NAMES:
        np.testing.assert_array_equal(found.columns[name], built.columns[name][expected])
    np.testing.assert_array_equal(found.n_rows, built.n_rows[expected])
