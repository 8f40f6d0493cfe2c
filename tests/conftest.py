"""Fixtures every test may use: a throw-away home, three people, the exchange's real files where at hand."""

import os
from pathlib import Path

import pytest

# Processes that tests start are the product, not a test: they read the home from the environment like any other.
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"

DATABASE_FIXTURES = {"db", "transactional_db"}


def pytest_addoption(parser):
    parser.addoption("--database-only", action="store_true", help="only tests that use the database")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--database-only"):
        return
    chosen = [item for item in items if uses_database(item)]
    config.hook.pytest_deselected(items=[item for item in items if not uses_database(item)])
    items[:] = chosen


def uses_database(item) -> bool:
    has_fixture = bool(DATABASE_FIXTURES & set(getattr(item, "fixturenames", ())))
    return has_fixture or item.get_closest_marker("django_db") is not None


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
