"""Where uploaded files lie until they are taken in: HINDSIGHT_HOME/uploads, a folder each, for the site alone."""

import re
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

MAX_NAME = 80


def keep_file(upload_id: uuid.UUID, name: str, file: "UploadedFile[Any]") -> None:
    """Write the file down, piece by piece. Raises OSError."""
    folder = _folder_of(upload_id)
    folder.mkdir(parents=True, mode=0o700)
    with (folder / name).open("xb") as target:
        for chunk in file.chunks():
            target.write(chunk)


def find_file(upload_id: uuid.UUID) -> Path:
    """Raises FileNotFoundError."""
    found = next(_folder_of(upload_id).iterdir(), None)
    if found is None:
        raise FileNotFoundError(upload_id)
    return found


def drop_file(upload_id: uuid.UUID) -> None:
    shutil.rmtree(_folder_of(upload_id), ignore_errors=True)


def sweep_files(active: set[uuid.UUID], grace_s: float = 3600.0) -> int:
    """Drop what a killed process left: folders that no active upload needs and that are old. Returns how many."""
    n_swept, old_before = 0, time.time() - grace_s
    for folder in (Path(settings.HOME) / "uploads").glob("*/"):
        with suppress(OSError):  # another reaper swept it
            if folder.name not in {str(pk) for pk in active} and folder.stat().st_mtime < old_before:
                shutil.rmtree(folder)
                n_swept += 1
    return n_swept


def name_by_content(given: str, head: bytes) -> str:
    """A plain file name with the ending that the first bytes call for, whatever ending was given."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(given.replace("\\", "/")).name).lstrip(".") or "candles"
    for ending in (".gz", ".zip", ".csv"):
        if stem.lower().endswith(ending):
            stem = stem[: -len(ending)]
    stem = stem.removesuffix(".csv")[:MAX_NAME] or "candles"
    if head.startswith(b"PK"):
        return f"{stem}.zip"
    return f"{stem}.csv.gz" if head.startswith(b"\x1f\x8b") else f"{stem}.csv"


def _folder_of(upload_id: uuid.UUID) -> Path:
    return Path(settings.HOME) / "uploads" / str(upload_id)
