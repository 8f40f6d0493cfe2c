"""Why a file cannot be taken in: one sentence that names the file, the place in it, and what to do."""


class IngestError(Exception):
    """A file is refused as a whole. `code` is stable; the message may be reworded and is always printable."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = printable(message)
        super().__init__(self.message)


def printable(text: str) -> str:
    """The text on one line, in characters that every terminal and database takes.

    Names of files may hold line breaks, escape sequences, or bytes that are no text.
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
