"""What can be wrong with candle files: every failure of the store is one of these."""


class StoreError(Exception):
    """A segment cannot be read or written."""


class SegmentMissing(StoreError):
    """The file of a segment is not there."""


class SegmentDamaged(StoreError):
    """The bytes of a segment are not the ones it is named after."""
