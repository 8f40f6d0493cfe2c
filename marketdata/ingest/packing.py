"""From a file on disk to the text in it: zip, gzip or plain, within limits, against its checksum."""

import gzip
import hashlib
import io
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


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The text of one candle file, and the SHA-256 of the file as it came (packed)."""

    name: str
    sha256: str
    text: bytes


def read_source(path: Path) -> SourceFile:
    """Read and unpack a file. Raises IngestError: missing, too_large, empty, wrong_checksum, bad_zip, ..."""
    try:
        n_bytes = path.stat().st_size
        is_packed = not path.name.endswith(".csv")
        if n_bytes > (MAX_PACKED_BYTES if is_packed else MAX_TEXT_BYTES):
            raise _too_large(path.name)
        data = path.read_bytes()
    except OSError as error:
        raise IngestError("unreadable", f"{path.name} cannot be read: {error.strerror or error}.") from error
    if not data:
        raise IngestError("empty", f"{path.name} is empty. Fetch it again.")
    sha256 = hashlib.sha256(data).hexdigest()
    _check_checksum(path, sha256)
    if path.name.endswith(".zip"):
        text = unzip(path.name, data)
    elif path.name.endswith(".gz"):
        text = _gunzip(path.name, data)
    else:
        text = data
    return SourceFile(path.name, sha256, text)


def parse_checksum(text: str, name: str) -> str:
    """The SHA-256 from the exchange's `<sha256>  <file>` line. Raises IngestError for anything else."""
    found = re.match(r"\s*([0-9a-fA-F]{64})\s+\*?(\S+)", text)
    if not found or found[2] != name:
        raise IngestError("bad_checksum_file", f"{name}.CHECKSUM is not the checksum of {name}.")
    return found[1].lower()


def unzip(name: str, data: bytes) -> bytes:
    """The only member of a zip. The sizes that the zip claims are not believed: reading stops at the limit."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            member = _only_member(name, archive)
            if member.file_size > MAX_TEXT_BYTES or member.file_size > MAX_RATIO * max(len(data), 1):
                raise _bomb(name)
            with archive.open(member) as stream:
                text = stream.read(member.file_size + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise IngestError("bad_zip", f"{name} is not a whole zip file ({error}). Fetch it again.") from error
    if len(text) != member.file_size:
        raise _bomb(name)
    return text


def _only_member(name: str, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = archive.infolist()
    if len(members) != 1:
        raise IngestError("several_members", f"{name} holds {len(members)} files; one CSV is expected.")
    member = members[0]
    if "/" in member.filename or "\\" in member.filename or member.filename.startswith("."):
        raise IngestError("path_trick", f"{name} holds {member.filename!r}: a path where a plain name is expected.")
    if stat.S_ISLNK(member.external_attr >> 16) or member.is_dir():
        raise IngestError("path_trick", f"{name} holds a link or a folder where a CSV is expected.")
    if member.flag_bits & 0x1:
        raise IngestError("encrypted", f"{name} is encrypted. Unpack it first.")
    if not member.filename.lower().endswith(".csv"):
        raise IngestError("no_csv", f"{name} holds {member.filename!r}, not a CSV.")
    inner, outer = member.filename.rpartition(".")[0], name.rpartition(".")[0]
    if inner != outer and "-" in inner and inner.split("-")[:2] != outer.split("-")[:2]:
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
    if not beside.is_file():
        return
    if beside.stat().st_size > 4096 or parse_checksum(beside.read_text("utf-8", "replace"), path.name) != sha256:
        text = f"{path.name} does not match {beside.name}: it is damaged or was changed. Fetch both again."
        raise IngestError("wrong_checksum", text)


def _too_large(name: str) -> IngestError:
    return IngestError(
        "too_large", f"{name} is too large (limit {MAX_TEXT_BYTES >> 20} MiB of text). Split it by year."
    )


def _bomb(name: str) -> IngestError:
    return IngestError(
        "zip_bomb", f"{name} unpacks to more than it may ({MAX_TEXT_BYTES >> 20} MiB, {MAX_RATIO} times its size)."
    )
