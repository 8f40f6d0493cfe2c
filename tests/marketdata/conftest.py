import uuid
from dataclasses import replace

import pytest

from tests.marketdata.loopback_archive import LoopbackArchive
from tests.marketdata.s3_server import NoServer, give_up, throwaway_s3


@pytest.fixture
def loopback_archive(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with LoopbackArchive() as archive:
        yield archive


@pytest.fixture(scope="session")
def s3_server():
    try:
        with throwaway_s3() as options:
            yield options
    except NoServer as reason:
        give_up(str(reason))


@pytest.fixture
def s3_options(s3_server, monkeypatch):
    """An empty folder of the bucket of a real S3 server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return replace(s3_server, prefix=f"candles/{uuid.uuid4().hex}")
