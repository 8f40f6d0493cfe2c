"""Result files: one folder per attempt, HOME/artifacts/<run id>/<attempt>-<token>/, with a Parquet file per table and
report.json.

A folder appears whole or not at all (temporary folder, fsync, rename). The run's row names the folder that counts;
folders that no row names are swept.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings
from numpy.typing import NDArray

type Rows = NDArray[np.void]

REPORT = "report.json"
_UNFINISHED = ".unfinished-"


class ArtifactError(Exception):
    """Result files that cannot be written, are missing, or do not hold what was written."""


def root() -> Path:
    return Path(settings.HOME) / "artifacts"


def save(
    run_id: uuid.UUID, attempt: int, token: uuid.UUID, *, tables: Mapping[str, Rows], facts: Mapping[str, Any]
) -> str:
    """Write one attempt's files and return their folder, relative to `root()`.

    Tables are structured arrays of numbers and booleans; facts is JSON without NaN. Raises ArtifactError when the disk
    refuses, and leaves nothing behind then.
    """
    relative = f"{run_id}/{attempt}-{token}"
    folder = root() / relative
    unfinished = folder.with_name(_UNFINISHED + folder.name)
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        write_files(unfinished, tables, facts)
        _fsync(unfinished)
        unfinished.rename(folder)
        _fsync(folder.parent)
        _fsync(root())
    except BaseException as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        if isinstance(error, OSError):
            raise ArtifactError(f"The result could not be written: {error.strerror or error}.") from error
        raise
    return relative


def write_files(folder: Path, tables: Mapping[str, Rows], facts: Mapping[str, Any]) -> None:
    """Write a Parquet file per table and report.json into a folder that exists."""
    index = {}
    for name, rows in tables.items():
        path = folder / f"{name}.parquet"
        pq.write_table(_to_arrow(rows), path, compression="zstd")
        _fsync(path)
        index[name] = {"n_rows": len(rows), "sha256": _hash_file(path)}
    text = json.dumps({"tables": index, "facts": facts}, allow_nan=False, ensure_ascii=False)
    report = folder / REPORT
    report.write_text(text, encoding="utf-8")
    _fsync(report)


def folder_of(relative: str) -> Path:
    """The folder that a row names. Raises ArtifactError when it names none, so that no read strays elsewhere."""
    parts = relative.split("/")
    if len(parts) != 2 or any(part in ("", ".", "..") for part in parts):
        raise ArtifactError(f"{relative!r} is not a folder of results.")
    return root() / relative


def load_facts(folder: Path) -> dict[str, Any]:
    """What `save` was given as facts. Raises ArtifactError."""
    return dict(_read_report(folder)["facts"])


def load_table(folder: Path, name: str) -> Rows:
    """One table as it was saved: same columns, same dtypes, same bits. Raises ArtifactError."""
    path = folder / f"{name}.parquet"
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ArtifactError(f"The result file {name} cannot be read.") from error
    columns = {field: table.column(field).to_numpy() for field in table.column_names}
    rows = np.empty(table.num_rows, dtype=[(field, column.dtype) for field, column in columns.items()])
    for field, column in columns.items():
        rows[field] = column
    return rows


def load(folder: Path) -> tuple[dict[str, Any], dict[str, Rows]]:
    """Facts and all tables. Raises ArtifactError."""
    report = _read_report(folder)
    return dict(report["facts"]), {name: load_table(folder, name) for name in report["tables"]}


def delete_run_files(run_id: uuid.UUID) -> None:
    """Remove every attempt's folder of a run; missing ones are fine."""
    shutil.rmtree(root() / str(run_id), ignore_errors=True)


def delete_attempt(relative: str) -> None:
    """Remove one attempt's folder, and the run's if that leaves it empty."""
    folder = folder_of(relative)
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def _read_report(folder: Path) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError("The result files of this run are missing or damaged.") from error
    return report


def _to_arrow(rows: Rows) -> pa.Table:
    return pa.table({name: pa.array(np.ascontiguousarray(rows[name])) for name in rows.dtype.names or ()})


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
