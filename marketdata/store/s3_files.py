"""Segments in a bucket of an S3-compatible store."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from marketdata.store.errors import SegmentMissing, StoreError, StoreFull, StoreRefused, StoreUnreachable
from marketdata.store.files import StoredFile, has_right_bytes, is_segment_name

if TYPE_CHECKING:
    from obstore.store import S3Config

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_FULL_CODES = {"QuotaExceeded", "EntityTooLarge", "XMinioStorageFull"}
_CONNECT_S = 5
_N_RETRIES = 2


@dataclass(frozen=True, slots=True)
class S3Options:
    """Where the bucket is and how to get in. Without keys, those of the machine's own role are used, as AWS has it."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""  # empty: AWS itself
    region: str = "us-east-1"
    access_key_id: str = field(default="", repr=False)
    secret_access_key: str = field(default="", repr=False)
    timeout_s: int = 30  # of one request, with its body

    def __str__(self) -> str:
        return f"s3://{'/'.join(filter(None, (self.bucket, self.prefix)))} at {self.endpoint or 'AWS'}"


class S3Files:
    """Segments under `prefix` of a bucket, as `ab/<sha256>.parquet`.

    May be shared by threads. A process that was forked from one which had used it is refused, where it would hang: the
    library's own threads do not survive a fork.
    """

    _user_pid: ClassVar = 0  # of whoever started the library's threads, which all instances share

    def __init__(self, options: S3Options) -> None:
        self.options = options
        self._store = _open_bucket(options)

    def put(self, name: str, data: bytes) -> None:
        def create() -> bool:
            try:
                obstore.put(self._store, _key_of(name), data, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
            return True

        what = f"The candle file {name[:12]} could not be written"
        if not self._ask(what, create) and not has_right_bytes(name, self.get(name)):
            self._ask(what, lambda: obstore.put(self._store, _key_of(name), data, use_multipart=False))

    def get(self, name: str, *, is_fresh: bool = False) -> bytes:
        what = f"The candle file {name[:12]} could not be read"
        return self._ask(what, lambda: bytes(obstore.get(self._store, _key_of(name)).bytes()))

    def n_bytes(self, name: str) -> int:
        what = f"The candle file {name[:12]} could not be read"
        return self._ask(what, lambda: obstore.head(self._store, _key_of(name))["size"])

    def list_files(self) -> Iterator[StoredFile]:
        pages = self._ask("The candle files could not be listed", lambda: iter(obstore.list(self._store)))
        while page := self._ask("The candle files could not be listed", lambda: next(pages, None)):
            for found in page:
                folder, _, file = found["path"].rpartition("/")
                name = file.removesuffix(".parquet")
                if is_segment_name(name) and folder == name[:2]:
                    yield StoredFile(name, found["size"], found["last_modified"].timestamp())

    def delete(self, name: str) -> None:
        what = f"The candle file {name[:12]} could not be removed"
        try:
            self._ask(what, lambda: obstore.delete(self._store, _key_of(name)))
        except SegmentMissing:
            return

    def delete_leftovers(self, older_than_s: float, *, is_dry: bool = False) -> list[str]:
        return []  # an object appears whole or not at all

    def probe(self) -> None:
        """Ask the store for one listing. Raises StoreError where it does not answer or does not let us in."""
        next(self.list_files(), None)

    def _ask[T](self, what: str, request: Callable[[], T]) -> T:
        """What `request` gives. Raises StoreError in one sentence that begins with `what`."""
        if S3Files._user_pid not in (0, os.getpid()):
            raise StoreUnreachable(f"{what}: this process was forked from one that had used the S3 store before.")
        S3Files._user_pid = os.getpid()
        try:
            return request()
        except (BaseError, OSError) as error:  # the library's "not found" is Python's own
            raise self._explain(error, what) from None  # its text says much, and not to users

    def _explain(self, error: Exception, what: str) -> StoreError:
        text = str(error)
        found, code = _STATUS.search(text), _CODE.search(text)
        status = int(found[1]) if found else 0
        reason = code[1] if code else ""
        if reason == "NoSuchBucket":
            return StoreRefused(f"{what}: there is no bucket {self.options.bucket} ({self.options}).")
        if isinstance(error, FileNotFoundError):
            return SegmentMissing(f"{what}: it is not in {self.options}.")
        if isinstance(error, (PermissionDeniedError, UnauthenticatedError)) or status in (401, 403):
            hint = f" ({reason})" if reason else ""
            how = "refuses the keys" if self.options.access_key_id else "is closed to this machine: no keys are set"
            return StoreRefused(f"{what}: {self.options} {how}{hint}.")
        if status == 507 or reason in _FULL_CODES:
            return StoreFull(f"{what}: {self.options} has no space left.")
        if status:
            return StoreUnreachable(f"{what}: {self.options} answered {status} {reason}".rstrip() + ".")
        return StoreUnreachable(f"{what}: {self.options} gave no answer, or none to its end, in time.")


def _key_of(name: str) -> str:
    return f"{name[:2]}/{name}.parquet"


def _open_bucket(options: S3Options) -> S3Store:
    where: S3Config = {
        "region": options.region,
        "checksum_algorithm": "SHA256",  # the store refuses bytes that changed on the way
        "virtual_hosted_style_request": False,
    }
    if options.endpoint:
        where["endpoint"] = options.endpoint
    if options.access_key_id:
        where["access_key_id"] = options.access_key_id
        where["secret_access_key"] = options.secret_access_key
    timeout = timedelta(seconds=options.timeout_s)
    return S3Store(
        options.bucket,
        prefix=options.prefix or None,
        config=where,
        client_options={
            "allow_http": options.endpoint.startswith("http://"),
            "connect_timeout": min(timedelta(seconds=_CONNECT_S), timeout),
            "timeout": timeout,
        },
        retry_config={"max_retries": _N_RETRIES, "retry_timeout": timeout},
    )
