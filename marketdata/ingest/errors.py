"""Why a file cannot be taken in: one sentence that names the file, the place in it, and what to do."""


class IngestError(Exception):
    """A file is refused as a whole. `code` is stable; the message may be reworded."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
