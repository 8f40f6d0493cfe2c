"""Files that cannot be candles, each with the code of its refusal and a part of the sentence that must be said.

Every maker is given the folder `futures/BTCUSDT/1h` of its own and writes one file there (or a few).
"""

import gzip
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.marketdata.candle_makers import HEADER, JANUARY_MS, make_candles, to_csv, to_zip

NAME = "BTCUSDT-1h-2025-01-01"
HOUR = 3_600_000
GOOD = to_csv(make_candles(24))
LINES = GOOD.splitlines()
SIX = "time,open,high,low,close,volume"
MIB = 2**20


@dataclass(frozen=True)
class Poison:
    """`says` must be in the message, beside the file's name."""

    title: str
    write: Callable[[Path], object]
    code: str
    says: str = ""


def text(content: str | bytes, name: str = f"{NAME}.csv") -> Callable[[Path], object]:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def zipped(data: bytes) -> Callable[[Path], object]:
    return text(data, f"{NAME}.zip")


def with_row(i: int, **fields: object) -> str:
    """The good file with some columns of one row (from 0) replaced."""
    row = dict(zip(HEADER.split(","), LINES[i + 1].split(","), strict=True)) | {k: str(v) for k, v in fields.items()}
    return "\n".join([*LINES[: i + 1], ",".join(row.values()), *LINES[i + 2 :]]) + "\n"


def write_wrong_checksum(folder: Path) -> None:
    zipped(to_zip(GOOD, f"{NAME}.csv"))(folder)
    (folder / f"{NAME}.zip.CHECKSUM").write_text(f"{'0' * 64}  {NAME}.zip\n")


def write_checksum_of_another(folder: Path) -> None:
    zipped(to_zip(GOOD, f"{NAME}.csv"))(folder)
    (folder / f"{NAME}.zip.CHECKSUM").write_text("<html>404 Not Found</html>")


def bomb_of(n_bytes: int) -> bytes:
    """A zip of one member of n_bytes zeros, made without holding them."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(f"{NAME}.csv", "w", force_zip64=True) as member,
    ):
        for _ in range(n_bytes // MIB):
            member.write(bytes(MIB))
    return buffer.getvalue()


def lying_bomb() -> bytes:
    """A bomb whose directory and header claim 1,000 bytes."""
    data = bytearray(to_zip("0" * 8 * MIB, f"{NAME}.csv"))
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = data.index(signature) + offset
        data[at : at + 4] = (1000).to_bytes(4, "little")
    return bytes(data)


def overlapping_zip() -> bytes:
    """Two entries of the directory that name the same bytes."""
    data = to_zip(GOOD, f"{NAME}.csv")
    at, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry = data[at:end]
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, 2 * len(entry), at, 0)
    return data[:at] + entry + entry + tail


def crowded_zip(n_members: int = 60_000) -> bytes:
    """So many empty members that their list alone would fill the memory."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *[20] * 6, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0) + b"a.csv"
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, n_members, n_members, n_members * len(entry), 0, 0)
    return entry * n_members + tail


def flagged_zip(*, link: bool = False, encrypted: bool = False) -> bytes:
    member = zipfile.ZipInfo(f"{NAME}.csv")
    if link:
        member.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, "/etc/passwd" if link else GOOD)
    data = bytearray(buffer.getvalue())
    if encrypted:
        for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
            data[data.index(signature) + offset] |= 1
    return bytes(data)


def wrong_crc_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{NAME}.csv", GOOD)
    return buffer.getvalue().replace(b"103.0", b"104.0", 1)


def gzip_bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(300)) + packer.flush()


def endless_line(folder: Path) -> None:
    with (folder / f"{NAME}.csv").open("wb") as file:
        for _ in range(80):
            file.write(b"1735689600000,1," * (MIB // 16))


def write_sparse(folder: Path) -> None:
    with (folder / f"{NAME}.csv").open("wb") as file:
        file.truncate(4 * 2**30)


def link_to(target: str) -> Callable[[Path], object]:
    return lambda folder: (folder / f"{NAME}.csv").symlink_to(target)


def endless_row(folder: Path) -> None:
    text(GOOD + "1" * (2 * MIB) + "\n")(folder)


COLUMNS = 10_000_000
WIDE = f"{','.join('c' * 1000)}\n".encode()
HUGE_HEADER = b"c," * COLUMNS + b"\n1\n"
NANOS_ROW = f"{JANUARY_MS}123456,1,1,1,1,1"

POISONS = [
    Poison("a checksum that does not match", write_wrong_checksum, "wrong_checksum", "does not match"),
    Poison("a checksum file that is none", write_checksum_of_another, "bad_checksum_file", "CHECKSUM"),
    Poison("an empty file", text(""), "empty", "is empty"),
    Poison("a file of blank lines", text("\n\n\n"), "empty", "no rows"),
    Poison("a header alone", text(f"{HEADER}\n"), "header_only", "no rows"),
    Poison("a file of comments", text("# nothing\n# here\n"), "empty", "no rows"),
    Poison("no zip at all", zipped(b"hello"), "bad_zip", "not a whole zip"),
    Poison("a truncated zip", zipped(to_zip(GOOD, f"{NAME}.csv")[:-40]), "bad_zip", "not a whole zip"),
    Poison("a zip of wrong content", zipped(wrong_crc_zip()), "wrong_crc", "CRC"),
    Poison("an empty zip", zipped(b"PK\x05\x06" + bytes(18)), "empty_zip", "without a file"),
    Poison("a zip bomb by ratio", zipped(to_zip("0" * 4 * MIB, f"{NAME}.csv")), "zip_bomb", "unpacks to more"),
    Poison("a zip bomb by size", lambda f: zipped(bomb_of(400 * MIB))(f), "zip_bomb", "unpacks to more"),
    Poison("a zip bomb that lies", zipped(lying_bomb()), "wrong_crc", "Fetch it again"),
    Poison("a zip in a zip", zipped(to_zip("PK", "inner.zip")), "no_csv", "inner.zip"),
    Poison("members that overlap", zipped(overlapping_zip()), "several_members", "2 files"),
    Poison("two members", zipped(to_zip(GOOD, "a.csv", [("b.csv", GOOD)])), "several_members", "2 files"),
    Poison("60,000 members", lambda f: zipped(crowded_zip())(f), "several_members", "files"),
    Poison("a member that climbs", zipped(to_zip(GOOD, "../../etc/x.csv")), "path_trick", "a path where"),
    Poison("a member with a root", zipped(to_zip(GOOD, "/etc/x.csv")), "path_trick", "a path where"),
    Poison("a link in a zip", zipped(flagged_zip(link=True)), "path_trick", "a link"),
    Poison("an encrypted zip", zipped(flagged_zip(encrypted=True)), "encrypted", "Unpack it first"),
    Poison("a program in a zip", zipped(to_zip("MZ", f"{NAME}.exe")), "no_csv", ".exe"),
    Poison("another symbol in a zip", zipped(to_zip(GOOD, "ETHUSDT-1h-2025-01-01.csv")), "other_member", "ETHUSDT"),
    Poison("no gzip at all", text("hello", f"{NAME}.csv.gz"), "bad_gzip", "not a whole gzip"),
    Poison("a truncated gzip", text(gzip.compress(GOOD.encode())[:-20], f"{NAME}.csv.gz"), "bad_gzip", "whole gzip"),
    Poison("a gzip bomb", lambda f: text(gzip_bomb(), f"{NAME}.csv.gz")(f), "zip_bomb", "unpacks to more"),
    Poison("too few columns", text("\n".join([*LINES[:4], LINES[4][:30]])), "wrong_columns", "line 5: "),
    Poison("too many columns", text(GOOD.replace(LINES[7], LINES[7] + ",7")), "wrong_columns", "line 8: 13 columns"),
    Poison("six columns without a name", text("1,2,3,4,5,6\n"), "wrong_columns", "6 columns and no header"),
    Poison("a header of something else", text("id,name\n1,BTC\n"), "no_column", "no column for open_time"),
    Poison("a page of an error", text("<!DOCTYPE html>\n<html><body>403</body></html>\n"), "no_column", "open_time"),
    Poison("text for a price", text(with_row(3, high="high")), "not_a_number", "line 5: high is 'high'"),
    Poison("nothing for a price", text(with_row(3, low="")), "not_a_number", "line 5: low is ''"),
    Poison("a decimal comma", text(GOOD.replace(",", ";").replace(".0", ",0")), "not_a_number", "line 2"),
    Poison("a NaN for a price", text(with_row(4, close="nan")), "not_finite", "line 6: 1 row has a price"),
    Poison("an infinite volume", text(with_row(4, volume="inf")), "not_finite", "line 6"),
    Poison("an infinite quote volume", text(with_row(4, quote_volume="inf")), "not_finite", "line 6"),
    Poison("a huge price", text(with_row(4, high=1e300)), "absurd_number", "line 6"),
    Poison("a price next to nothing", text(with_row(4, low=5e-324)), "absurd_number", "line 6"),
    Poison("a huge volume", text(with_row(4, volume=1e40)), "absurd_number", "line 6"),
    Poison("a number of trades beyond any", text(with_row(4, count="1e30")), "bad_count", "line 6"),
    Poison("half a trade", text(with_row(4, count="2.5")), "bad_count", "line 6"),
    Poison("a price of zero", text(with_row(4, low=0)), "price_not_positive", "line 6"),
    Poison("negative prices", text(with_row(4, open=-1, low=-2)), "price_not_positive", "line 6"),
    Poison("a negative volume", text(with_row(4, volume=-1)), "negative_volume", "line 6"),
    Poison("a high below the low", text(with_row(4, high=90, low=120)), "impossible_candle", "line 6"),
    Poison("a time beyond int64", text(with_row(4, open_time=10**20)), "not_a_number", "line 6: open_time"),
    Poison("a time of int64's end", text(f"{SIX}\n{2**63 - 1},1,1,1,1,1\n"), "bad_time", "line 2"),
    Poison("a time below zero", text(with_row(4, open_time=-1)), "bad_time", "line 6"),
    Poison("a time in 1970", text(f"{SIX}\n1735689,1,1,1,1,1\n"), "bad_time", "line 2: a time that is not between"),
    Poison("a time in parts of a ms", text(f"{SIX}\n{NANOS_ROW}\n"), "bad_time", "line 2: a time between two"),
    Poison("no date", text(f"{SIX}\n2025-01-01,1,1,1,1,1\n2025-13-01,1,1,1,1,1\n"), "bad_time", "line 3: '2025-13-01'"),
    Poison("seconds among milliseconds", text(with_row(4, open_time=1735689600)), "mixed_units", "line 6"),
    Poison("a zone in some rows", text(f"{SIX}\n2025-01-01T00:00:00Z,1,1,1,1,1\n2025-01-01T01:00:00,1,1,1,1,1\n"),
           "mixed_zones", "some times name a zone"),
    Poison("rows of the next day", text(to_csv(make_candles(25))), "outside_period", "line 26: 2025-01-02 00:00"),
    Poison("rows of the day before", text(to_csv(make_candles(24, first_ms=JANUARY_MS - HOUR))), "outside_period",
           "line 2: 2024-12-31 23:00"),
    Poison("rows of another symbol", text(f"symbol,{SIX}\nETHUSDT,{JANUARY_MS},1,1,1,1,1\n"), "other_symbol", "ETH"),
    Poison("rows of 5 minutes", text(to_csv(make_candles(24, "5m"))), "wrong_timeframe", "5 minutes apart"),
    Poison("rows of 4 hours", text(to_csv(make_candles(6, "4h"))), "wrong_timeframe", "240 minutes apart"),
    Poison("no row on the grid", text(to_csv(make_candles(24, first_ms=JANUARY_MS + 60_000).take(slice(0, 23)))),
           "off_grid", "no row opens on the grid"),
    Poison("two candles of one time", text(GOOD + with_row(5, volume=77).splitlines()[6] + "\n"), "conflicting_rows",
           "line 26: two rows of 2025-01-01 05:00:00 differ in volume"),
    Poison("a picture", text(b"\x89PNG\r\n\x1a\n" + bytes(64)), "not_text", "not a text file"),
    Poison("UTF-16", text(GOOD.encode("utf-16")), "not_utf8", "UTF-16"),
    Poison("UTF-16 without a mark", text(GOOD.encode("utf-16-le")), "not_text", "not a text file"),
    Poison("Latin-1", text("zeit,caf\xe9\n".encode("latin-1")), "not_utf8", "UTF-8"),
    Poison("a quote without end", text(with_row(4, open='"100')), "open_quote", "line 6"),
    Poison("one endless line", endless_line, "endless_line", "line 1 is longer"),
    Poison("an endless row", endless_row, "endless_line", "line 26 is longer"),
    Poison("10 million columns", lambda f: text(HUGE_HEADER)(f), "endless_line", "line 1 is longer"),
    Poison("1,000 columns", text(WIDE), "too_many_columns", "1,000 columns"),
    Poison("more rows than a file may have", lambda f: text("1,1,1,1,1,1\n" * 7 * MIB)(f), "too_many_rows", "Split it"),
    Poison("four GiB of nothing", write_sparse, "too_large", "Split it"),
    Poison("a pipe", lambda f: os.mkfifo(f / f"{NAME}.csv"), "not_a_file", "no regular file"),
    Poison("a device", link_to("/dev/zero"), "not_a_file", "no regular file"),
    Poison("a folder named like a zip", lambda f: (f / f"{NAME}.zip").mkdir(), "not_a_file", "no regular file"),
    Poison("a link to itself", link_to(f"{NAME}.csv"), "unreadable", "cannot be read"),
    Poison("a link to nowhere", link_to("/nowhere/at/all"), "unreadable", "cannot be read"),
    Poison("a file that cannot be read", link_to("/proc/self/mem"), "unreadable", "cannot be read"),
    Poison("a name with a line break", text("", "BTCUSDT-1h-x\nrefused: all is well.csv"), "empty", "x\\nrefused"),
    Poison("a name that is no text", lambda f: (f / os.fsdecode(b"caf\xe9.csv")).write_bytes(b""), "empty", "\\udce9"),
    Poison("a day that is none", text(GOOD, "BTCUSDT-1h-2025-02-30.csv"), "bad_name", "2025-02-30 is not a date"),
    Poison("a symbol that the folder denies", text(GOOD, "ETHUSDT-1h-2025-01-01.csv"), "other_symbol", "BTCUSDT/"),
    Poison("a timeframe that the folder denies", text(GOOD, "BTCUSDT-5m-2025-01-01.csv"), "other_timeframe", "in 1h/"),
]  # fmt: skip
