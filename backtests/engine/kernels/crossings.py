"""Where one line crosses another, over whole arrays."""

import numpy as np
from numpy.typing import NDArray

from backtests.engine.kernels.compiler import entry_kernel
from backtests.engine.kernels.tables import first_row

type Values = NDArray[np.float64]


@entry_kernel
def mark_crossings(line: Values, other: Values, marks: Values) -> None:
    """Write 1 where line comes to be above other, -1 where it comes to be below, NaN elsewhere and where one is NaN.

    All are equally long. Coming from equality counts, as with crossed_above and crossed_below.
    """
    a, b, written = first_row(line), first_row(other), first_row(marks)
    was_at_most, was_at_least = False, False  # nothing comes before the first value
    for i in range(line.shape[0]):
        mark = np.nan
        if was_at_most and a[i] > b[i]:
            mark = 1.0
        elif was_at_least and a[i] < b[i]:
            mark = -1.0
        written[i] = mark
        was_at_most, was_at_least = a[i] <= b[i], a[i] >= b[i]
