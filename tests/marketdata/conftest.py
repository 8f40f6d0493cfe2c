import pytest

from tests.marketdata.loopback_archive import LoopbackArchive


@pytest.fixture
def loopback_archive(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with LoopbackArchive() as archive:
        yield archive
