import gzip
import hashlib
import io
import stat
import zipfile

import pytest

from marketdata.ingest import packing
from marketdata.ingest.errors import IngestError
from marketdata.ingest.packing import read_source
from tests.marketdata.candle_makers import make_candles, to_csv, to_zip

NAME = "BTCUSDT-1h-2025-01"
TEXT = to_csv(make_candles(5))
GOOD = to_zip(TEXT, f"{NAME}.csv")


def refuse(path):
    with pytest.raises(IngestError) as error:
        read_source(path)
    assert path.name in error.value.message
    return error.value.code


def test_zip_gzip_and_plain_give_the_same_text(tmp_path):
    for name, data in (
        (f"{NAME}.zip", GOOD),
        (f"{NAME}.csv.gz", gzip.compress(TEXT.encode())),
        ("x.csv", TEXT.encode()),
    ):
        (tmp_path / name).write_bytes(data)
        source = read_source(tmp_path / name)
        assert source.text == TEXT.encode()
        assert source.sha256 == hashlib.sha256(data).hexdigest()


def link_zip():
    member = zipfile.ZipInfo(f"{NAME}.csv")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, "/etc/passwd")
    return buffer.getvalue()


def lying_zip():
    """A zip whose directory claims one byte more than the member unpacks to."""
    data = bytearray(GOOD)
    at = data.rindex(b"PK\x01\x02") + 24
    size = int.from_bytes(data[at : at + 4], "little")
    data[at : at + 4] = (size - 1).to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"not a zip", "bad_zip"),
        (GOOD[: len(GOOD) // 2], "bad_zip"),
        (GOOD[:-10], "bad_zip"),
        (GOOD[:60] + b"\0\0\0\0" + GOOD[64:], "bad_zip"),
        (lying_zip(), "wrong_crc"),
        (to_zip(TEXT, f"{NAME}.csv", [("b.csv", TEXT)]), "several_members"),
        (to_zip(TEXT, "../BTCUSDT-1h-2025-01.csv"), "path_trick"),
        (to_zip(TEXT, "/etc/BTCUSDT-1h-2025-01.csv"), "path_trick"),
        (to_zip(TEXT, "a/b.csv"), "path_trick"),
        (to_zip(TEXT, "..\\b.csv"), "path_trick"),
        (to_zip("", "folder/"), "path_trick"),
        (link_zip(), "path_trick"),
        (to_zip(TEXT, "ETHUSDT-1h-2025-01.csv"), "other_member"),
        (to_zip(TEXT, "BTCUSDT-5m-2025-01.csv"), "other_member"),
        (to_zip(TEXT, f"{NAME}.exe"), "no_csv"),
        (to_zip("0" * 4_000_000, f"{NAME}.csv"), "zip_bomb"),
    ],
)
def test_a_zip_that_is_not_one_whole_csv_is_refused(tmp_path, data, code):
    path = tmp_path / f"{NAME}.zip"
    path.write_bytes(data)
    assert refuse(path) == code


def test_an_encrypted_zip_is_refused(tmp_path):
    data = bytearray(GOOD)
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    (tmp_path / f"{NAME}.zip").write_bytes(data)
    assert refuse(tmp_path / f"{NAME}.zip") == "encrypted"


def test_a_bomb_in_gzip_is_refused(tmp_path):
    path = tmp_path / f"{NAME}.csv.gz"
    path.write_bytes(gzip.compress(b"0" * 4_000_000))
    assert refuse(path) == "zip_bomb"
    path.write_bytes(gzip.compress(TEXT.encode())[:-4])
    assert refuse(path) == "bad_gzip"


def test_a_file_beyond_the_limit_is_not_even_read(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "MAX_TEXT_BYTES", 10)
    (tmp_path / "x.csv").write_text(TEXT)
    assert refuse(tmp_path / "x.csv") == "too_large"


def test_a_missing_file_is_refused(tmp_path):
    assert refuse(tmp_path / "gone.csv") == "unreadable"


def test_the_checksum_beside_a_file_must_match(tmp_path):
    path = tmp_path / f"{NAME}.zip"
    path.write_bytes(GOOD)
    beside = tmp_path / f"{NAME}.zip.CHECKSUM"
    beside.write_text(f"{hashlib.sha256(GOOD).hexdigest()}  {NAME}.zip\n")
    assert read_source(path).text == TEXT.encode()
    beside.write_text(f"{'0' * 64}  {NAME}.zip\n")
    assert refuse(path) == "wrong_checksum"
    beside.write_text("<html>not found</html>")
    assert refuse(path) == "bad_checksum_file"
