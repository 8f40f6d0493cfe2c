"""What `manage.py check --deploy` looks at beside Django's own: whether the bucket of candles lets us in."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from marketdata.store import StoreError
from marketdata.store.s3_files import S3Files, S3Options


@register(Tags.files, deploy=True)
def check_bucket(**_: Any) -> list[CheckMessage]:
    if not settings.CANDLE_S3:
        return []
    try:
        S3Files(S3Options(**settings.CANDLE_S3)).probe()
    except StoreError as error:
        hint = "Look at HINDSIGHT_CANDLES_URL and HINDSIGHT_S3_*; docs/reference/settings.md explains them."
        return [Error(str(error), hint=hint, id="marketdata.E001")]
    return []
