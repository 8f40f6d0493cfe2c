"""Where candle files lie: in HINDSIGHT_HOME, or in a bucket of an S3-compatible store."""

import re
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from config import env

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
_S3_NAMES = ("ENDPOINT", "REGION", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")


def read_s3() -> dict[str, Any] | None:
    """What HINDSIGHT_CANDLES_URL and HINDSIGHT_S3_* say, as marketdata.store.S3Options takes it; None: a local folder.

    Raises ImproperlyConfigured, and never repeats a key in it.
    """
    url = env.read_text("HINDSIGHT_CANDLES_URL")
    given = {name: env.read_text(f"HINDSIGHT_S3_{name}") for name in _S3_NAMES}
    timeout_s = env.read_int("HINDSIGHT_S3_TIMEOUT_S", 30, at_least=1, at_most=600)
    if not url:
        if stray := [f"HINDSIGHT_S3_{name}" for name, value in given.items() if value]:
            raise ImproperlyConfigured(f"{', '.join(stray)} without HINDSIGHT_CANDLES_URL: which bucket is meant?")
        return None
    bucket, prefix = _split_url(url)
    if bool(given["ACCESS_KEY_ID"]) != bool(given["SECRET_ACCESS_KEY"]):
        raise ImproperlyConfigured("HINDSIGHT_S3_ACCESS_KEY_ID and HINDSIGHT_S3_SECRET_ACCESS_KEY go together.")
    return {
        "bucket": bucket,
        "prefix": prefix,
        "endpoint": _read_endpoint(given["ENDPOINT"]),
        "region": given["REGION"] or "us-east-1",
        "access_key_id": given["ACCESS_KEY_ID"],
        "secret_access_key": given["SECRET_ACCESS_KEY"],
        "timeout_s": timeout_s,
    }


def _split_url(url: str) -> tuple[str, str]:
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    if scheme != "s3" or not _BUCKET.fullmatch(bucket) or (prefix and not _PREFIX.fullmatch(prefix)):
        # Not repeated: people have put keys into such addresses.
        raise ImproperlyConfigured("HINDSIGHT_CANDLES_URL is no s3://bucket or s3://bucket/folder.")
    return bucket, prefix


def _read_endpoint(url: str) -> str:
    parts = urlsplit(url)
    is_address = parts.scheme in ("http", "https") and parts.hostname and not parts.username
    if url and (not is_address or parts.path not in ("", "/") or parts.query or parts.fragment):
        raise ImproperlyConfigured("HINDSIGHT_S3_ENDPOINT is no address such as https://s3.example.org:9000.")
    return url.rstrip("/")
