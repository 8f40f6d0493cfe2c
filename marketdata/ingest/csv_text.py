"""The text of a CSV: where its rows start, what its columns are, and a fast reading of them as numbers."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from marketdata.ingest.errors import IngestError

type ArrowColumn = pa.Array[Any]

_LOOK_AHEAD = 64 * 1024
_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class CsvText:
    """Rows of a CSV. `header` is empty where the first row is already data; `n_head_lines` come before the data."""

    name: str
    text: bytes
    delimiter: str
    header: tuple[str, ...]
    first_row: tuple[str, ...]
    n_head_lines: int

    @property
    def n_columns(self) -> int:
        return len(self.header or self.first_row)

    def line_of(self, i_row: int) -> int:
        """The line in the file (from 1) of a data row (from 0)."""
        return self.n_head_lines + i_row + 1


def open_csv(name: str, text: bytes) -> CsvText:
    """Find header and first row; `#` comment lines at the top are skipped. Raises IngestError: empty, not_text."""
    if b"\0" in text[:_LOOK_AHEAD]:
        raise IngestError("not_text", f"{name} is not a text file. A CSV of candles is expected.")
    text = text.removeprefix(b"\xef\xbb\xbf")
    try:
        top = text[:_LOOK_AHEAD].decode("utf-8", "ignore" if len(text) > _LOOK_AHEAD else "strict")
    except UnicodeDecodeError:
        raise IngestError("not_text", f"{name} is not text in UTF-8. A CSV of candles is expected.") from None
    lines = top.splitlines()
    n_head = 0
    while n_head < len(lines) and (lines[n_head].startswith("#") or not lines[n_head].strip()):
        n_head += 1
    if n_head == len(lines):
        raise IngestError("empty", f"{name} holds no rows. Fetch it again.")
    delimiter = max(_DELIMITERS, key=lines[n_head].count)
    head = _split(lines[n_head], delimiter)
    if _is_number(head[0]):
        return CsvText(name, text, delimiter, (), tuple(head), n_head)
    if n_head + 1 >= len(lines) or not lines[n_head + 1].strip():
        raise IngestError("empty", f"{name} holds a header but no rows. Fetch it again.")
    first_row = _split(lines[n_head + 1], delimiter)
    return CsvText(name, text, delimiter, tuple(field.strip() for field in head), tuple(first_row), n_head + 1)


def read_columns(source: CsvText, names: Sequence[str], types: dict[str, pa.DataType]) -> dict[str, ArrowColumn]:
    """The columns in `types`, one Arrow array each. `names` names every column of the file, in order.

    Raises IngestError that says the line: wrong_columns, not_a_number.
    """
    try:
        table = pa_csv.read_csv(
            io.BytesIO(source.text),
            read_options=pa_csv.ReadOptions(
                column_names=list(names), skip_rows=source.n_head_lines, use_threads=False, block_size=8 * 2**20
            ),
            parse_options=pa_csv.ParseOptions(delimiter=source.delimiter),
            convert_options=pa_csv.ConvertOptions(
                column_types=types, include_columns=list(types), null_values=[], strings_can_be_null=False
            ),
        )
    except pa.ArrowException as error:
        try:
            explained = _explain(source, names, types)
        except csv.Error:  # a field without end
            explained = None
        raise explained or IngestError("bad_csv", f"{source.name}: {error}") from error
    return {name: table.column(name).combine_chunks() for name in types}


def to_floats(column: ArrowColumn) -> NDArray[np.float64]:
    return np.ascontiguousarray(column.to_numpy(zero_copy_only=False), np.float64)


def to_ints(column: ArrowColumn) -> NDArray[np.int64]:
    return np.ascontiguousarray(column.to_numpy(zero_copy_only=False), np.int64)


def _explain(source: CsvText, names: Sequence[str], types: dict[str, pa.DataType]) -> IngestError | None:
    """Read again, slowly, for the first line that cannot be right."""
    lines = (line.decode("utf-8", "replace") for line in io.BytesIO(source.text))
    rows = csv.reader(islice(lines, source.n_head_lines, None), delimiter=source.delimiter)
    for line, fields in enumerate(rows, start=source.line_of(0)):
        if not fields:
            continue
        if len(fields) != len(names):
            text = f"{source.name}, line {line}: {len(fields)} columns where {len(names)} are expected."
            return IngestError("wrong_columns", f"{text} The file may be cut short: fetch it again.")
        for name, field in zip(names, fields, strict=True):
            kind = types.get(name)
            if kind is None or pa.types.is_string(kind) or _is_number(field, whole=pa.types.is_integer(kind)):
                continue
            what = "a whole number" if pa.types.is_integer(kind) else "a number"
            return IngestError("not_a_number", f"{source.name}, line {line}: {name} is {field[:40]!r}, not {what}.")
    return None


def _split(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [""])


def _is_number(field: str, *, whole: bool = False) -> bool:
    try:
        if whole:
            return abs(int(field)) < 2**63 and field.strip() == field
        float(field)
    except ValueError:
        return False
    return True
