"""Every address is behind the sign-in unless it stands here as open, and what is for staff is for nobody else."""

import uuid

import pytest
from django.urls import URLPattern, get_resolver, reverse

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]

APPS = {"accounts", "strategies", "marketdata", "backtests"}
OPEN = {"home", "api_token"}  # the landing page, and the door to the API
FOR_STAFF = {"fetch", "extend", "job-list", "job", "job-cancel", "job-resume"}
SAMPLES = {"UUIDConverter": uuid.UUID(int=7), "IntConverter": 7, "StringConverter": "x", "SlugConverter": "x"}


def walk(resolver, prefix=""):
    for entry in resolver.url_patterns:
        if not isinstance(entry, URLPattern):
            yield from walk(entry, f"{prefix}{entry.namespace}:" if entry.namespace else prefix)
        elif entry.name and entry.lookup_str.split(".")[0] in APPS and not prefix.startswith("admin"):
            yield f"{prefix}{entry.name}", entry.pattern.converters


DOORS = dict(walk(get_resolver()))


def address_of(name):
    samples = {word: SAMPLES[type(converter).__name__] for word, converter in DOORS[name].items()}
    return reverse(name, kwargs=samples)


@pytest.mark.parametrize("name", DOORS)
def test_nobody_gets_in_without_signing_in(anonymous, name):
    answers = [anonymous.get(address_of(name)), anonymous.post(address_of(name))]
    if name in OPEN:
        assert any(answer.status_code < 405 and answer.status_code != 401 for answer in answers)
        return
    for answer in answers:
        assert answer.status_code in {302, 401}
        assert answer.status_code == 401 or answer.url.startswith("/accounts/login/")


@pytest.mark.parametrize("name", sorted(name for name in DOORS if name.rpartition(":")[2] in FOR_STAFF))
def test_pages_of_staff_are_not_there_for_others(owner_client, name):
    address = address_of(name)
    assert {owner_client.get(address).status_code, owner_client.post(address).status_code} == {404}
