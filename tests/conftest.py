"""Fixtures every test may use: a throw-away home, three people, the exchange's real files where at hand."""

import os
import tempfile
from pathlib import Path

import pytest

# Before Django reads its settings: tests never touch the home of the machine they run on.
_HOME = tempfile.mkdtemp(prefix="hindsight-test-")
os.environ["HINDSIGHT_HOME"] = _HOME
os.environ.setdefault("HINDSIGHT_SECRET_KEY", "a key for tests only")
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / "hindsight-test-numba"))

PASSWORD = "correct horse"
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SHARED_ORACLE = SHARED_DATA.parent / "oracle"


@pytest.fixture
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real exchange files are not at hand ({SHARED_DATA})")
    return SHARED_DATA


@pytest.fixture
def shared_oracle() -> Path:
    if not SHARED_ORACLE.is_dir():
        pytest.skip(f"published reference numbers are not at hand ({SHARED_ORACLE})")
    return SHARED_ORACLE


@pytest.fixture
def hindsight_home(tmp_path, settings):
    settings.HOME = tmp_path
    return tmp_path


@pytest.fixture
def owner(db, django_user_model):
    return django_user_model.objects.create_user("owner@example.org", PASSWORD)


@pytest.fixture
def stranger(db, django_user_model):
    return django_user_model.objects.create_user("stranger@example.org", PASSWORD)


@pytest.fixture
def staff(db, django_user_model):
    return django_user_model.objects.create_superuser("staff@example.org", PASSWORD)


def _client_of(user):
    from django.test import Client

    client = Client()
    if user is not None:
        client.force_login(user)
    return client


@pytest.fixture
def anonymous():
    return _client_of(None)


@pytest.fixture
def owner_client(owner):
    return _client_of(owner)


@pytest.fixture
def stranger_client(stranger):
    return _client_of(stranger)


@pytest.fixture
def staff_client(staff):
    return _client_of(staff)
