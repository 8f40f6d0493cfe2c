"""What users do with candles of their own: upload, rename, delete. Page and API come through here.

Every rule that is broken raises UploadRefused(field, code, message); field "" means the request as a whole.
"""

import logging
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django_q.tasks import async_task

from accounts.models import User
from marketdata.errors import UploadRefused
from marketdata.models import Instrument, Market, Series, SeriesKind, Upload
from marketdata.timeframes import TIMEFRAME_MS
from marketdata.uploads.folder import drop_file, keep_file, name_by_content, sweep_files
from marketdata.uploads.private_instruments import find_template, name_symbol
from marketdata.uploads.quota import MB, measure_use

logger = logging.getLogger(__name__)

TASK = "marketdata.uploads.tasks.take_upload"
TIME_LIMIT_S = 300
MAX_WAITING = 5


def request_upload(
    user: User, given: Mapping[str, str], file: "UploadedFile[Any] | None", *, is_too_large: bool = False
) -> Upload:
    """Keep the file and queue its intake. Its size is judged before anything of it is read.

    given: market, symbol; timeframe (empty: read off the rows); rules (a symbol whose rules are copied; empty: plain).
    Raises UploadRefused: file|market|symbol|timeframe|rules, too_many_uploads, too_many_series, no_room.
    """
    file = _check_file(user, file, is_too_large)
    market, timeframe = given.get("market", "").strip().lower(), given.get("timeframe", "").strip()
    if market not in Market.values:
        raise UploadRefused("market", "unknown_choice", f"The market is one of {', '.join(Market.values)}.")
    if timeframe and timeframe not in TIMEFRAME_MS:
        raise UploadRefused("timeframe", "unknown_timeframe", f"Use one of {', '.join(TIMEFRAME_MS)}, or none.")
    symbol, rules = name_symbol(given.get("symbol", "")), given.get("rules", "").strip().upper()
    if rules:
        find_template(market, rules)
    head = file.read(4)
    file.seek(0)
    upload = Upload(
        owner=user,
        file_name=name_by_content(file.name or "", head),
        n_bytes=file.size or 0,
        market=market,
        symbol=symbol,
        timeframe=timeframe,
        rules_from=rules,
    )
    try:
        keep_file(upload.pk, upload.file_name, file)
        with transaction.atomic():
            _check_quota(user, upload)
            upload.save(force_insert=True)
            transaction.on_commit(partial(send, upload.pk))
    except OSError as error:
        drop_file(upload.pk)
        text = "The file could not be kept: the site has no room, or its disk fails. Try again later."
        raise UploadRefused("file", "not_stored", text) from error
    except BaseException:
        drop_file(upload.pk)
        raise
    return upload


def send(upload_id: uuid.UUID) -> None:
    """Send the message of a waiting upload. If the queue does not answer, its page sends it again."""
    try:
        async_task(TASK, str(upload_id), timeout=TIME_LIMIT_S)
        Upload.objects.unsent().filter(pk=upload_id).update(dispatched_at=Now())
    except Exception:
        logger.exception("The message of upload %s was not sent.", upload_id)


def rename_symbol(series: Series, typed: str) -> None:
    """Give a private instrument, and with it all of its series, another symbol. Runs keep the name that they had.

    Raises UploadRefused: symbol/missing, symbol/bad_symbol, symbol/taken.
    """
    symbol = name_symbol(typed)
    try:
        with transaction.atomic():
            Instrument.objects.filter(pk=series.instrument_id, owner__isnull=False).update(symbol=symbol)
    except IntegrityError:
        raise UploadRefused("symbol", "taken", f"You have another {symbol} of this market.") from None


def delete_series(series: Series) -> None:
    """Delete a private series, and its instrument with the last one. Candle files stay while runs pin them."""
    with transaction.atomic():
        instrument = Instrument.objects.select_for_update().get(pk=series.instrument_id, owner__isnull=False)
        series.delete()
        if not instrument.series.exists():
            instrument.delete()


def keep_uploads() -> int:
    """End uploads whose worker is gone, and drop files that nobody will read. Returns how many it touched."""
    n_lost = Upload.objects.end_lost()
    return n_lost + sweep_files(set(Upload.objects.active().values_list("pk", flat=True)))


def _check_file(user: User, file: "UploadedFile[Any] | None", is_too_large: bool) -> "UploadedFile[Any]":
    max_bytes = measure_use(user).max_file_bytes
    if is_too_large or (file is not None and (file.size or 0) > max_bytes):
        text = f"A file may have {max_bytes / MB:,.0f} MB. Zip it, or split it by year."
        raise UploadRefused("file", "too_large", text)
    if file is None:
        raise UploadRefused("file", "missing", "Choose a file.")
    if not file.size:
        raise UploadRefused("file", "empty", "The file is empty.")
    return file


def _check_quota(user: User, upload: Upload) -> None:
    # The lock makes two uploads of one user count one after the other.
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if Upload.objects.visible_to(user).active().count() >= MAX_WAITING:
        text = f"{MAX_WAITING} of your files wait to be read already. Wait for one of them."
        raise UploadRefused("", "too_many_uploads", text)
    use = measure_use(user)
    extends = Series.objects.owned_by(user).filter(
        instrument__market=upload.market, instrument__symbol=upload.symbol, kind=SeriesKind.TRADE
    )
    if use.n_series >= use.max_series and not extends.exists():
        text = f"You may keep {use.max_series} series of your own, and have {use.n_series}. Delete one first."
        raise UploadRefused("", "too_many_series", text)
    if use.n_bytes >= use.max_bytes:
        text = f"Your own series fill the {use.max_bytes / MB:,.0f} MB that you may keep. Delete one first."
        raise UploadRefused("file", "no_room", text)
