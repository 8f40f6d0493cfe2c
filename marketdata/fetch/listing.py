"""One page of an S3 bucket's listing."""

from dataclasses import dataclass
from xml.etree import ElementTree

from marketdata.fetch.errors import ArchiveMissing

MAX_LISTING_BYTES = 4 * 2**20
MAX_LISTING_PAGES = 200


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file that the archive holds. n_bytes is 0 where the listing does not say."""

    key: str
    n_bytes: int


def parse_listing(data: bytes, url: str) -> tuple[list[ListedFile], str]:
    """The files of one page, and the marker of the next page (empty on the last). Raises ArchiveMissing: no_listing."""
    if b"<!DOCTYPE" in data[:1024].upper() or b"<!ENTITY" in data.upper():
        raise _no_listing(url)
    try:
        root = ElementTree.fromstring(data)  # noqa: S314 (no document type, no entities: refused above)
    except ElementTree.ParseError:
        raise _no_listing(url) from None
    if not root.tag.endswith("ListBucketResult"):
        raise _no_listing(url)
    files = [
        ListedFile(element.findtext("{*}Key") or "", _to_bytes(element.findtext("{*}Size")))
        for element in root.iterfind("{*}Contents")
    ]
    if (root.findtext("{*}IsTruncated") or "").strip().lower() != "true":
        return files, ""
    return files, root.findtext("{*}NextMarker") or (files[-1].key if files else "")


def _to_bytes(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 16 else 0


def _no_listing(url: str) -> ArchiveMissing:
    return ArchiveMissing("no_listing", f"{url} does not list its files.")
