"""What a source check reports."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Literal

_MAX_CANDIDATES = 300  # a hostile source must not make the comparison slow

type Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One problem; line and column count from 1. An error stops a run, a warning does not."""

    line: int
    column: int
    code: str
    message: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem before its column is counted in characters: it stands where `node` stands, None for the first line."""

    node: ast.AST | None
    code: str
    message: str
    severity: Severity = "error"


def suggest(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant; empty when none is close."""
    near = (word for word in sorted(known) if abs(len(word) - len(name)) <= 3)
    lowered = {word.lower(): word for word in islice(near, _MAX_CANDIDATES)}
    matches = get_close_matches(name.lower(), lowered, n=1, cutoff=0.75)
    if not matches:  # two letters of a short name exchanged: the ratio of `byu` to `buy` is low
        matches = [word for word in lowered if sorted(word) == sorted(name.lower())]
    return lowered[matches[0]] if matches else ""
