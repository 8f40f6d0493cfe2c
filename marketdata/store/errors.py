"""What can be wrong with candle files: every failure of the store is one of these, and says so in one sentence."""

import errno

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR}


class StoreError(Exception):
    """A segment cannot be read or written."""


class SegmentMissing(StoreError):
    """The file of a segment is not there."""


class SegmentDamaged(StoreError):
    """The bytes of a segment are not the ones it is named after."""


class SegmentMismatch(SegmentDamaged):
    """The file is whole, but holds other rows than whoever points to it says."""


class StoreFull(StoreError):
    """There is no space left where segments lie. Nothing was changed; it works again when there is."""


class StoreRefused(StoreError):
    """The place where segments lie does not let us in: rights, keys or the name of the bucket are wrong."""


class StoreUnreachable(StoreError):
    """The place where segments lie does not answer in time, or answers nonsense: later it may work again."""


def explain_os_error(error: OSError, what: str) -> StoreError:
    """The StoreError that a refusal of the operating system means. `what` is a clause: "the candle file ... could not
    be written"."""
    kind = StoreFull if error.errno in _FULL else StoreRefused if error.errno in _REFUSED else StoreUnreachable
    return kind(f"{what}: {error.strerror or error}.")
