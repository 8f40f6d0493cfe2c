"""Files of a request, within a limit that holds before anything of them is kept or read."""

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler, SkipFile

from marketdata.ingest.packing import MAX_TEXT_BYTES

FORM_BYTES = 64 * 1024  # what a request may carry beside its file
MAX_DRAINED_BYTES = 4 * MAX_TEXT_BYTES  # a body beyond this is not even read to its end


class FileLimit(FileUploadHandler):
    """Skips files above the site's limit, and notes it on the request as `is_file_too_large`.

    The first of FILE_UPLOAD_HANDLERS. A user's own limit may be lower; the service knows it.
    """

    def handle_raw_input(
        self,
        input_data: Any,
        META: Any,  # noqa: N803
        content_length: int,
        boundary: Any,
        encoding: Any = None,
    ) -> None:
        if content_length > MAX_DRAINED_BYTES:
            raise RequestDataTooBig("The request is larger than any file that is taken here.")
        self.n_bytes = 0
        self.is_announced_too_large = content_length > MAX_TEXT_BYTES + FORM_BYTES

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        if self.is_announced_too_large:
            self._skip()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        self.n_bytes += len(raw_data)
        if self.n_bytes > MAX_TEXT_BYTES:
            self._skip()
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None  # the next handler keeps the file

    def _skip(self) -> None:
        if self.request is not None:
            self.request.is_file_too_large = True  # type: ignore[attr-defined]
        raise SkipFile
