"""What a running strategy reports besides its orders."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Reporter(Protocol):
    """Who listens to a run. Bars are indexes into the feed's timeline; -1 is before the first."""

    def progress(self, i_bar: int, n_bars: int, equity: float) -> None: ...

    def log(self, level: str, i_bar: int, text: str) -> None: ...

    def plot(self, name: str, pane: str, i_bar: int, value: float) -> None: ...

    def indicator(self, name: str, pane: str, values: NDArray[np.float64]) -> None:
        """One value per bar of the timeline, warm-up included; drawn on the result chart."""


class SilentReporter:
    """Listens to nothing: for tests and notebooks."""

    def progress(self, i_bar: int, n_bars: int, equity: float) -> None:
        pass

    def log(self, level: str, i_bar: int, text: str) -> None:
        pass

    def plot(self, name: str, pane: str, i_bar: int, value: float) -> None:
        pass

    def indicator(self, name: str, pane: str, values: NDArray[np.float64]) -> None:
        pass
