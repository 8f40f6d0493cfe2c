"""The sample strategies: one file each in examples/, whose docstring is its title and description."""

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FOLDER = Path(__file__).parent / "examples"


@dataclass(frozen=True)
class Example:
    """A sample by its file's stem. The file is read when it is first looked at."""

    slug: str

    @cached_property
    def source(self) -> str:
        return (FOLDER / f"{self.slug}.py").read_text(encoding="utf-8")

    @property
    def title(self) -> str:
        return self._docstring.partition("\n")[0].rstrip(".")

    @property
    def description(self) -> str:
        return " ".join(self._docstring.partition("\n")[2].split())

    @cached_property
    def _docstring(self) -> str:
        return ast.get_docstring(ast.parse(self.source)) or self.slug


EXAMPLES = (
    Example("buy_and_hold"),
    Example("sma_crossover"),
    Example("rsi_mean_reversion"),
    Example("breakout_bracket"),
    Example("patient_maker"),
    Example("leveraged_momentum"),
    Example("trend_targets"),
)
EXAMPLES_BY_SLUG = {example.slug: example for example in EXAMPLES}
