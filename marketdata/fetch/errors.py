"""Why something cannot be fetched."""

from marketdata.ingest.errors import IngestError


class ArchiveError(IngestError):
    """The archive does not answer, or not with what is expected."""


class ArchiveMissing(ArchiveError):
    """The archive answers, and does not hold the file."""


class ArchiveStopped(ArchiveError):
    """The transfer was given up because whoever wanted it is told to stop."""

    def __init__(self) -> None:
        super().__init__("stopped", "The transfer was stopped.")


class FetchRefused(Exception):
    """A request for a fetch breaks a rule: which field, a stable code, and what to do. `field` "": the whole."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(message)
        self.field, self.code, self.message = field, code, message
