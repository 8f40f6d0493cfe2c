"""The archive and the download folder that this site is set up with. No address ever comes from a request."""

import datetime as dt
from typing import Any

from django.conf import settings

from marketdata.fetch.archive import Archive
from marketdata.fetch.downloads import DownloadCache


def site_archive(**options: Any) -> Archive:
    """Raises ArchiveError where the setting is no HTTP address."""
    return Archive(settings.ARCHIVE_URL, settings.ARCHIVE_LISTING_URL, **options)


def site_cache() -> DownloadCache:
    return DownloadCache(settings.HOME / "cache" / "downloads")


def today_utc() -> dt.date:
    return dt.datetime.now(dt.UTC).date()
