"""The table of a sealed run: all that the kernels and the strategy read, blank until the parent reveals a bar.

One stretch of memory that parent and child share; only the parent can write to it. The parent copies a bar into it
from the market that it has laid out itself (portfolio.market), so the child's kernels walk the same numbers as the
replay, and find nothing behind the last bar revealed.
"""

from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtests.engine.kernels.layout import FUNDING_EVENT
from backtests.engine.kernels.state import Market, Plane, Rows

ALIGNMENT = 64
NEVER = 2**62  # the finest bar at which a funding stamp is charged that is not revealed yet

type Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class TableShape:
    """What the child is told of the run's length beforehand: numbers of rows, and no price."""

    n_steps: int
    n_fine: int
    n_funding: int
    first_bar: int
    has_fine: bool  # the path inside a bar is walked in finer bars
    has_marks: bool
    has_holes: tuple[bool, ...]  # by symbol: at some step it has no bar

    @property
    def n_symbols(self) -> int:
        return len(self.has_holes)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "has_holes": list(self.has_holes)}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "TableShape":
        return cls(**{**raw, "has_holes": tuple(raw["has_holes"])})


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The arrays. Without finer bars `columns` and `marks` are the market's own; `fresh` where a symbol has a bar."""

    shape: TableShape
    market: Market
    columns: Plane  # float64 [n_symbols, n_steps]: the symbols' bars on the steps
    fresh: NDArray[np.bool_]  # [n_symbols, n_steps]
    marks: NDArray[np.float64]  # [n_symbols, n_steps]: the mark at each step's close


def table_bytes(shape: TableShape) -> int:
    return sum(_padded(_n_bytes(dtype, dims)) for _, dtype, dims in _parts(shape))


def lay_table(shape: TableShape, memory: Any, offset: int = 0) -> Table:
    """Views of this memory, read-only where it is."""
    arrays: dict[str, Array] = {}
    for name, dtype, dims in _parts(shape):
        n = prod(dims)
        arrays[name] = (np.frombuffer(memory, dtype, n, offset) if n else np.empty(0, dtype)).reshape(dims)
        offset += _padded(_n_bytes(dtype, dims))
    last = _plane(arrays, "last")
    mark = _plane(arrays, "mark") if shape.has_marks else last
    step_ms = arrays["step_ms"]
    funding: Rows = arrays["funding"]
    fine_ms, bits = arrays.get("fine_ms", step_ms), mark.close.view(np.int64)
    market = Market(step_ms, arrays["first_fine"], fine_ms, last, mark, funding, bits)
    columns = _plane(arrays, "bar") if shape.has_fine else last
    return Table(shape, market, columns, arrays["fresh"], arrays.get("mark_at_close", mark.close))


def blank_table(table: Table) -> None:
    """Nothing is known: prices NaN, times 0, no stamp is due."""
    for plane in (table.market.last, table.market.mark, table.columns):
        for column in plane:
            column[:] = np.nan
    table.marks[:] = np.nan
    table.market.funding["i_fine"] = NEVER
    # The rest of shared memory is zero from the start.


def _parts(shape: TableShape) -> list[tuple[str, np.dtype[Any], tuple[int, ...]]]:
    times, prices = np.dtype(np.int64), np.dtype(np.float64)
    on_steps, on_fine = (shape.n_symbols, shape.n_steps), (shape.n_symbols, shape.n_fine)
    parts: list[tuple[str, np.dtype[Any], tuple[int, ...]]] = [
        ("step_ms", times, (shape.n_steps,)),
        ("first_fine", times, (shape.n_steps + 1,)),
        ("funding", FUNDING_EVENT, (shape.n_funding,)),
        ("fresh", np.dtype(np.bool_), on_steps),
        *((f"last_{name}", prices, on_fine) for name in Plane._fields),
    ]
    if shape.has_marks:
        parts += [(f"mark_{name}", prices, on_fine) for name in Plane._fields]
    if shape.has_fine:
        parts += [("fine_ms", times, (shape.n_fine,)), ("mark_at_close", prices, on_steps)]
        parts += [(f"bar_{name}", prices, on_steps) for name in Plane._fields]
    return parts


def _plane(arrays: dict[str, Array], prefix: str) -> Plane:
    return Plane(*(arrays[f"{prefix}_{name}"] for name in Plane._fields))


def _n_bytes(dtype: np.dtype[Any], dims: tuple[int, ...]) -> int:
    return dtype.itemsize * prod(dims)


def _padded(n_bytes: int) -> int:
    return n_bytes + -n_bytes % ALIGNMENT
