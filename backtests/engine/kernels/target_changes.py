"""Where an array of wanted positions changes: most of its values repeat the one before, or are NaN.

In two passes, because the first compares eight values at once, and the second skips eight marks at once.
"""

import numpy as np
from numpy.typing import NDArray

from backtests.engine.kernels.compiler import entry_kernel
from backtests.engine.kernels.tables import first_row

type Values = NDArray[np.float64]
type Marks = NDArray[np.int8]
type Counts = NDArray[np.int64]

MARKS_PER_WORD = 8


@entry_kernel
def mark_changes(values: Values, marks: Marks, first_bar: int) -> None:
    """Write 1 where a value is a number and not equal to the one before, else 0; there is at least one value.

    The first bar of the span is compared with nothing: what was wanted before it was not looked at.
    """
    value, mark = first_row(values), first_row(marks)
    for i in range(1, values.shape[0]):
        mark[i] = (value[i] == value[i]) & (value[i] != value[i - 1])
    mark[0] = value[0] == value[0]
    mark[first_bar] = value[first_bar] == value[first_bar]


@entry_kernel
def list_changes(words: Counts, marks: Marks, changes: Counts) -> int:
    """Write the places of the marks that are 1, the others being 0. words: the marks, as integers of eight; changes:
    as long as the marks, the last of which is 0. Returns how many there are.
    """
    word, mark, written = first_row(words), first_row(marks), first_row(changes)
    n_changes = 0
    for i_word in range(words.shape[0]):
        if word[i_word] != 0:
            for i in range(MARKS_PER_WORD * i_word, MARKS_PER_WORD * (i_word + 1)):
                written[n_changes] = i  # the next one writes over it if there is no mark: a jump would cost more
                n_changes += int(mark[i])
    return n_changes
