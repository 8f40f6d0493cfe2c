"""The text of a CSV: where its rows start, what its columns are, and a fast reading of them as numbers."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from marketdata.ingest.errors import IngestError

type ArrowColumn = pa.ChunkedArray[Any]

MAX_LINE_BYTES = 64 * 1024
MAX_COLUMNS = 200
MAX_ROWS = 1_100_000  # two years of minutes: what is read and checked within 512 MiB
_DELIMITERS = ",;\t"
_ENDED = re.compile(r"\r\n|\n|\r")  # str.splitlines also splits at characters that end no row


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
        """The line in the file (from 1) of a data row (from 0). Slow: for the one sentence of a refusal."""
        lines = enumerate(io.BytesIO(self.text), start=1)
        rows = (line for line, text in lines if line > self.n_head_lines and text.strip())
        return next(islice(rows, i_row, None), self.n_head_lines + i_row + 1)


def open_csv(name: str, text: bytes) -> CsvText:
    """Find header and first row; `#` comment lines at the top are skipped.

    Raises IngestError: empty, header_only, not_text, not_utf8, endless_line, too_many_columns, too_many_rows.
    """
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise IngestError("not_utf8", f"{name} is text in UTF-16. Save it as UTF-8.")
    if b"\0" in text[:MAX_LINE_BYTES]:
        raise IngestError("not_text", f"{name} is not a text file. A CSV of candles is expected.")
    if (n_lines := max(text.count(b"\n"), text.count(b"\r"))) > MAX_ROWS:
        raise IngestError("too_many_rows", f"{name} has {n_lines:,} lines (limit {MAX_ROWS:,}). Split it by year.")
    text = text.removeprefix(b"\xef\xbb\xbf")
    try:
        top = text[:MAX_LINE_BYTES].decode("utf-8", "ignore" if len(text) > MAX_LINE_BYTES else "strict")
    except UnicodeDecodeError:
        raise IngestError("not_utf8", f"{name} is not text in UTF-8. Save it as UTF-8.") from None
    lines = _ENDED.split(top)
    n_head = 0
    while n_head < len(lines) and (lines[n_head].startswith("#") or not lines[n_head].strip()):
        n_head += 1
    if n_head + 1 >= len(lines) and len(text) > MAX_LINE_BYTES:
        raise _endless(name, n_head + 1)
    if n_head == len(lines):
        raise IngestError("empty", f"{name} holds no rows. Fetch it again.")
    delimiter = max(_DELIMITERS, key=lines[n_head].count)
    head = _split(lines[n_head], delimiter)
    if len(head) > MAX_COLUMNS:
        says = f"{name}, line {n_head + 1}: {len(head):,} columns, where candles have {MAX_COLUMNS} at most."
        raise IngestError("too_many_columns", f"{says} Keep the columns of the candles.")
    if _is_number(head[0]):
        return CsvText(name, text, delimiter, (), tuple(head), n_head)
    i_first = next((i for i in range(n_head + 1, len(lines)) if lines[i].strip()), None)
    if i_first is None:
        raise IngestError("header_only", f"{name} holds a header but no rows. Fetch it again.")
    first_row = _split(lines[i_first], delimiter)
    return CsvText(name, text, delimiter, tuple(field.strip() for field in head), tuple(first_row), n_head + 1)


def find_line(name: str, text: bytes, i_row: int) -> int:
    """The line in the file (from 1) of a row (from 0) that was read from it."""
    return open_csv(name, text).line_of(i_row)


def read_columns(source: CsvText, names: Sequence[str], types: dict[str, pa.DataType]) -> dict[str, ArrowColumn]:
    """The columns in `types`, one Arrow column each. `names` names every column of the file, in order.

    Raises IngestError that says the line: wrong_columns, not_a_number, not_utf8, open_quote, endless_line, bad_csv.
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
        text = f"{source.name} is not a CSV that can be read ({error}). Fetch it again."
        raise _explain(source, names, types) or IngestError("bad_csv", text) from error
    return {name: table.column(name) for name in types}


def to_floats(column: ArrowColumn) -> NDArray[np.float64]:
    return np.ascontiguousarray(column.to_numpy(), np.float64)


def to_ints(column: ArrowColumn) -> NDArray[np.int64]:
    return np.ascontiguousarray(column.to_numpy(), np.int64)


def _explain(source: CsvText, names: Sequence[str], types: dict[str, pa.DataType]) -> IngestError | None:
    """Read again, slowly, for the first line that cannot be right."""
    for line, text in enumerate(io.BytesIO(source.text), start=1):
        if line <= source.n_head_lines or not text.strip():
            continue
        if problem := _explain_line(source, line, text, names, types):
            return problem
    return None


def _explain_line(
    source: CsvText, line: int, text: bytes, names: Sequence[str], types: dict[str, pa.DataType]
) -> IngestError | None:
    where = f"{source.name}, line {line}"
    if len(text) > MAX_LINE_BYTES:
        return _endless(source.name, line)
    if text.count(b'"') % 2:
        return IngestError(
            "open_quote", f"{where}: a quote that does not end. Correct the line, or fetch the file again."
        )
    fields = _split(text.decode("utf-8", "replace").rstrip("\r\n"), source.delimiter)
    if len(fields) != len(names):
        says = f"{where}: {len(fields)} columns where {len(names)} are expected."
        return IngestError("wrong_columns", f"{says} The file may be cut short: fetch it again.")
    for name, field in zip(names, fields, strict=True):
        kind = types.get(name)
        if kind is None:
            continue
        if pa.types.is_string(kind):
            if "\ufffd" in field:
                return IngestError("not_utf8", f"{where}: {name} is not text in UTF-8. Save the file as UTF-8.")
        elif not _is_number(field, whole=pa.types.is_integer(kind)):
            what = "a whole number" if pa.types.is_integer(kind) else "a number"
            says = f"{where}: {name} is {field[:40]!r}, not {what}."
            return IngestError("not_a_number", f"{says} Correct the row, or fetch the file again.")
    return None


def _endless(name: str, line: int) -> IngestError:
    text = f"{name}, line {line} is longer than {MAX_LINE_BYTES:,} bytes: this is no table of candles."
    return IngestError("endless_line", f"{text} Check that its rows end.")


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [""])
    except csv.Error:  # a lone line end inside of a line
        return line.split(delimiter)


def _is_number(field: str, *, whole: bool = False) -> bool:
    if "_" in field:  # Python's own spelling of 1_000
        return False
    try:
        if whole:
            return abs(int(field)) < 2**63 and field.strip() == field
        float(field)
    except ValueError:
        return False
    return True
