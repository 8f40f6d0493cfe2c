"""What is said when candles are asked for that cannot be given."""


class DataUnavailable(Exception):
    """What a request asks for is not held: which field, a stable code, and what is held instead."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.code = code
        self.message = message


class HistoryError(DataUnavailable):
    """A query of the candle history that makes no sense, or asks for what is not held."""


class UploadRefused(Exception):
    """A user's own candles are not taken, renamed or kept: which field, a stable code, and why."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.code = code
        self.message = message
