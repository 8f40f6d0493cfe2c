"""From a file on disk to the text in it: zip, gzip or plain, within limits, against its checksum."""

import gzip
import hashlib
import io
import os
import re
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from marketdata.ingest.errors import IngestError

MAX_PACKED_BYTES = 64 * 2**20
MAX_TEXT_BYTES = 96 * 2**20  # a month of 1m is 6 MiB, a year 70
MAX_RATIO = 200  # candles pack 3 to 10 times, flat ones some 60 times
MAX_CHECKSUM_BYTES = 4096
MAX_LISTED_MEMBERS = 16

_SERIES = re.compile(r"[A-Z0-9_]+-[A-Za-z0-9]+-")  # symbol and timeframe, where a name begins with them
_MEMBER_SIGNATURE = b"PK\x01\x02"  # of an entry in a zip's list; packed candles hold it by chance once in 4 GiB


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file as it came, and its SHA-256."""

    name: str
    sha256: str
    data: bytes


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The text of one candle file, and the SHA-256 of the file as it came (packed)."""

    name: str
    sha256: str
    text: bytes


def read_source(path: Path) -> SourceFile:
    """Read and unpack a file. Raises IngestError: see `read_packed` and `unpack`."""
    return unpack(read_packed(path))


def read_packed(path: Path) -> PackedFile:
    """Read a regular file, whole, and compare it with the checksum beside it.

    Raises IngestError: unreadable, not_a_file, too_large, changed, empty, wrong_checksum, bad_checksum_file.
    """
    is_packed = not path.name.lower().endswith(".csv")
    data = read_regular(path, MAX_PACKED_BYTES if is_packed else MAX_TEXT_BYTES)
    if not data:
        raise IngestError("empty", f"{path.name} is empty. Fetch it again.")
    sha256 = hashlib.sha256(data).hexdigest()
    _check_checksum(path, sha256)
    return PackedFile(path.name, sha256, data)


def unpack(packed: PackedFile) -> SourceFile:
    """The text of a zip's only member, of a gzip, or of the file itself.

    Raises IngestError: zip_bomb, several_members, empty_zip, path_trick, encrypted, no_csv, other_member, wrong_crc,
    bad_zip, bad_gzip.
    """
    text, name = packed.data, packed.name.lower()
    if name.endswith(".zip"):
        text = unzip(packed.name, packed.data)
    elif name.endswith(".gz"):
        text = _gunzip(packed.name, packed.data)
    return SourceFile(packed.name, packed.sha256, text)


def read_regular(path: Path, limit: int) -> bytes:
    """The bytes of a regular file: a pipe or a device may never answer, or never end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # without O_NONBLOCK a pipe waits
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise IngestError("not_a_file", f"{path.name} is no regular file. Give the candle file itself.")
            if before.st_size > limit:
                raise _too_large(path.name, limit)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(before.st_size + 1)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        reason = error.strerror or str(error)
        raise IngestError("unreadable", f"{path.name} cannot be read ({reason}). Check the path and its rights.") from (
            error
        )
    if len(data) != before.st_size or after.st_size != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
        text = f"{path.name} changed while it was read. Import it again when it is complete."
        raise IngestError("changed", text)
    return data


def parse_checksum(text: str, name: str) -> str:
    """The SHA-256 from the exchange's `<sha256>  <file>` line. Raises IngestError for anything else."""
    found = re.match(r"\s*([0-9a-fA-F]{64})\s+\*?(\S+)", text)
    if not found or found[2] != name:
        raise IngestError("bad_checksum_file", f"{name}.CHECKSUM is not the checksum of {name}. Fetch both again.")
    return found[1].lower()


def unzip(name: str, data: bytes) -> bytes:
    """The only member of a zip. The sizes that the zip claims are not believed: reading stops at the limit."""
    if (n_members := data.count(_MEMBER_SIGNATURE)) > MAX_LISTED_MEMBERS:  # before the list of them fills the memory
        raise _several(name, n_members)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            member = _only_member(name, archive)
            if member.file_size > MAX_TEXT_BYTES or member.file_size > MAX_RATIO * max(len(data), 1):
                raise _bomb(name)
            with archive.open(member) as stream:
                text = stream.read(member.file_size + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        if "CRC" in str(error):
            says = f"{name}: the content does not match the zip's own checksum (CRC). Fetch it again."
            raise IngestError("wrong_crc", says) from error
        raise IngestError("bad_zip", f"{name} is not a whole zip file ({error}). Fetch it again.") from error
    if len(text) != member.file_size:
        raise _bomb(name)
    return text


def _only_member(name: str, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = archive.infolist()
    if not members:
        raise IngestError("empty_zip", f"{name} is a zip without a file in it. Fetch it again.")
    if len(members) > 1:
        raise _several(name, len(members))
    member = members[0]
    if "/" in member.filename or "\\" in member.filename or member.filename.startswith("."):
        raise IngestError("path_trick", f"{name} holds {member.filename!r}: a path where a plain name is expected.")
    if stat.S_ISLNK(member.external_attr >> 16) or member.is_dir():
        raise IngestError("path_trick", f"{name} holds a link or a folder where a CSV is expected.")
    if member.flag_bits & 0x1:
        raise IngestError("encrypted", f"{name} is encrypted. Unpack it first.")
    if not member.filename.lower().endswith(".csv"):
        raise IngestError("no_csv", f"{name} holds {member.filename!r}, not a CSV.")
    inner, outer = _SERIES.match(member.filename), _SERIES.match(name)
    if inner and outer and inner[0] != outer[0]:
        raise IngestError("other_member", f"{name} holds {member.filename!r}: candles of something else.")
    return member


def _gunzip(name: str, data: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            text = stream.read(min(MAX_TEXT_BYTES, MAX_RATIO * len(data)) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise IngestError("bad_gzip", f"{name} is not a whole gzip file ({error}). Fetch it again.") from error
    if len(text) > min(MAX_TEXT_BYTES, MAX_RATIO * len(data)):
        raise _bomb(name)
    return text


def _check_checksum(path: Path, sha256: str) -> None:
    beside = path.with_name(f"{path.name}.CHECKSUM")
    if not beside.exists():
        return
    line = read_regular(beside, MAX_CHECKSUM_BYTES).decode("utf-8", "replace")
    if parse_checksum(line, path.name) != sha256:
        says = f"{path.name} does not match {beside.name}: it is damaged or was changed. Fetch both again."
        raise IngestError("wrong_checksum", says)


def _too_large(name: str, limit: int) -> IngestError:
    return IngestError("too_large", f"{name} is too large (limit {limit:,} bytes). Split it by year.")


def _several(name: str, n_members: int) -> IngestError:
    return IngestError("several_members", f"{name} holds {n_members} files; one CSV is expected. Unpack it first.")


def _bomb(name: str) -> IngestError:
    text = f"{name} unpacks to more than it may ({MAX_TEXT_BYTES >> 20} MiB, {MAX_RATIO} times its size)."
    return IngestError("zip_bomb", f"{text} If it is meant, unpack it and split it by year.")
