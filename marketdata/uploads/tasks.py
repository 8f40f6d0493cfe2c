"""What a worker does with the message of an upload. The row decides, not the message."""

from marketdata.models import Upload
from marketdata.uploads.intake import take_in


def take_upload(upload_id: str) -> None:
    """Read an uploaded file into its series. A duplicate message finds nothing to claim."""
    upload = Upload.objects.claim(upload_id)
    if upload is not None:
        take_in(upload)
