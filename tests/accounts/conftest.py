import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def no_attempts_counted(settings, tmp_path):
    """Counts of failed sign-ins outlive a test otherwise."""
    cache.clear()
    yield
    cache.clear()
