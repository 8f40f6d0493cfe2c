"""Where one line crosses another, over whole arrays."""

import numpy as np
from numpy.typing import NDArray

from backtests.engine.kernels.compiler import entry_kernel
from backtests.engine.kernels.tables import first_row

type Values = NDArray[np.float64]
type Marks = NDArray[np.int8]

BLOCK = 1_024  # bars whose signs are still in the nearest cache when their marks are made


@entry_kernel
def mark_crossings(line: Values, other: Values, signs: Values, marks: Marks) -> None:
    """Write a sign of 1 where line comes to be above other, -1 where it comes to be below, NaN elsewhere and where one
    is NaN; and a mark of 1 where there is a sign, else 0.

    All are equally long. Coming from equality counts, as with crossed_above and crossed_below.
    """
    a, b, sign, mark = first_row(line), first_row(other), first_row(signs), first_row(marks)
    if line.shape[0] > 0:
        sign[0], mark[0] = np.nan, 0  # nothing comes before the first value
    for i_from in range(1, line.shape[0], BLOCK):
        i_to = min(i_from + BLOCK, line.shape[0])
        for i in range(i_from, i_to):  # without jumps, so that several are compared at once
            rises = (a[i - 1] <= b[i - 1]) & (a[i] > b[i])
            falls = (a[i - 1] >= b[i - 1]) & (a[i] < b[i])
            sign[i] = 1.0 if rises else (-1.0 if falls else np.nan)
        for i in range(i_from, i_to):
            mark[i] = sign[i] == sign[i]
