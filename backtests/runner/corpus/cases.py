"""Cases of a corpus: one JSON object a line. docs/reference/jail-corpus.md explains the fields and the checks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CHECKS = (
    *("nopwn", "dead_or_error", "timeout", "violation", "timeout_or_violation", "equity_start", "replay_true"),
    *("determinism", "lookahead", "honest", "twice", "nosurvivor"),
)

# What cases are written against, whatever the strategy interface: whole arrays, the bar's index, the number of bars.
# Each array's buffer is the whole column of numbers, so that code which digs for it finds the future.
_SURFACE = """
import os

import numpy as _numpy


class Strategy(Strategy):
    _out = []
    _given = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

    def initialize(self):
        pass

    def on_data(self, data):
        pass

    @property
    def data(self):
        account = self._session.account
        bars = account.feed.symbols[0].bars
        names = ("open", "high", "low", "close", "volume")
        columns = {name: getattr(bars, name) for name in names}
        if not len(bars.close):  # a sealed run: what has come so far, and blanks
            columns = account.bar_columns()[0]
        columns = {**{name: columns[name] for name in names}, "ts": account.open_ms}
        return self._given or {name: _numpy.asarray(memoryview(column)) for name, column in columns.items()}

    @data.setter
    def data(self, given):
        self._given = given

    @property
    def i(self):
        return self._session.account.cursor.i_bar

    @property
    def n(self):
        return self._session.account.n_bars

    def buy(self, qty):
        if self._session.can_trade:
            return super().buy(qty)
        self._out.append(qty)
"""


class CorpusError(Exception):
    """The file is no corpus; the message says where."""


@dataclass(frozen=True, slots=True)
class Case:
    """One attack. `check` says what contained means; `bites`: it was seen to succeed where there is no jail."""

    id: str
    category: str
    code: str
    check: str
    bites: bool
    contained_shows: str

    def source_for(self, places: Mapping[str, str]) -> str:
        """The strategy, with the placeholders filled in and what it is written against before it."""
        code = self.code
        for placeholder, value in places.items():
            code = code.replace(placeholder, value)
        return f"{_SURFACE}\n{code}"


def read_cases(path: Path) -> list[Case]:
    """Raises CorpusError for a file or a line that cannot be read."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path} cannot be read: {error}") from None
    cases = [_read_case(line, number) for number, line in enumerate(lines, 1) if line.strip()]
    if not cases:
        raise CorpusError(f"{path} holds no case.")
    return cases


def _read_case(line: str, number: int) -> Case:
    try:
        fields = json.loads(line)
        return Case(
            id=str(fields["id"]),
            category=str(fields.get("category", "")),
            code=str(fields["code"]),
            check=str(fields["check"]),
            bites=bool(fields.get("bites_without_jail", False)),
            contained_shows=str(fields.get("contained_shows", "")),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise CorpusError(f"Line {number} is no case: {type(error).__name__} {error}.") from None
