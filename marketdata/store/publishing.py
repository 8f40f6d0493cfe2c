"""A file appears whole or not at all: temporary name, fsync, link, fsync of the folder."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TEMPORARY = "*/.*.tmp"


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """A name in the same folder that is gone afterwards, whatever happens (a full disk above all)."""
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def publish_bytes(path: Path, data: bytes) -> None:
    """Give `path` these bytes, on the disk when this returns. Raises OSError, and leaves what was there before then."""
    make_folders(path.parent)
    with temporary_beside(path) as temporary:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _link(temporary, path)
    sync_folder(path.parent)


def make_folders(folder: Path) -> None:
    """Like mkdir -p, and the new names last: a folder is an entry of its parent, which is written out too."""
    if folder.is_dir():
        return
    make_folders(folder.parent)
    with suppress(FileExistsError):  # another writer was first
        folder.mkdir()
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def delete_temporaries(folder: Path, older_than_s: float, *, is_dry: bool = False) -> list[str]:
    """Remove temporary files of writers that were killed; those written to within `older_than_s` may still be at work.

    Returns their paths, relative to `folder`.
    """
    old_before = time.time() - older_than_s
    found = []
    for path in folder.glob(_TEMPORARY):
        with suppress(FileNotFoundError):  # its writer lives
            if path.stat().st_mtime < old_before:
                found.append(str(path.relative_to(folder)))
                if not is_dry:
                    path.unlink()
    return found


def _link(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:  # another writer was first, or the old file is damaged: these bytes are right
        os.replace(temporary, path)
    except OSError:  # a file system without hard links
        os.replace(temporary, path)
