"""Segments in a folder of this machine."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from marketdata.store.errors import SegmentMissing, explain_os_error
from marketdata.store.files import StoredFile, has_right_bytes, is_segment_name
from marketdata.store.publishing import delete_temporaries, publish_bytes, sync_folder


class LocalFiles:
    """Segments in a folder of this machine, in 256 subfolders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path_of(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name}.parquet"

    def put(self, name: str, data: bytes) -> None:
        path = self.path_of(name)
        try:
            if path.is_file() and has_right_bytes(name, path.read_bytes()):
                sync_folder(path.parent)  # whoever linked it may not have come to this
            else:
                publish_bytes(path, data)
        except OSError as error:
            raise explain_os_error(error, f"The candle file {name[:12]} could not be written") from error

    def get(self, name: str, *, is_fresh: bool = False) -> bytes:
        try:
            return self.path_of(name).read_bytes()
        except FileNotFoundError:
            raise self._missing(name) from None
        except OSError as error:
            raise explain_os_error(error, f"The candle file {name[:12]} could not be read") from error

    def n_bytes(self, name: str) -> int:
        try:
            return self.path_of(name).stat().st_size
        except FileNotFoundError:
            raise self._missing(name) from None
        except OSError as error:
            raise explain_os_error(error, f"The candle file {name[:12]} could not be read") from error

    def list_files(self) -> Iterator[StoredFile]:
        for path in self.folder.glob("*/*.parquet"):
            if is_segment_name(path.stem):
                with suppress(FileNotFoundError):  # another sweeper was faster
                    facts = path.stat()
                    yield StoredFile(path.stem, facts.st_size, facts.st_mtime)

    def delete(self, name: str) -> None:
        try:
            self.path_of(name).unlink(missing_ok=True)
        except OSError as error:
            raise explain_os_error(error, f"The candle file {name[:12]} could not be removed") from error

    def delete_leftovers(self, older_than_s: float, *, is_dry: bool = False) -> list[str]:
        return delete_temporaries(self.folder, older_than_s, is_dry=is_dry)

    def _missing(self, name: str) -> SegmentMissing:
        return SegmentMissing(f"The candle file {name[:12]} is not in {self.folder}.")
