"""Where candles lie: what makes no sense stops the start with one sentence, which shows no key."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.candles import read_s3

KEYS = {"HINDSIGHT_S3_ACCESS_KEY_ID": "an id", "HINDSIGHT_S3_SECRET_ACCESS_KEY": "a secret"}
S3 = {"HINDSIGHT_CANDLES_URL": "s3://candles/site/one"}


def read(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return read_s3()


def test_without_an_address_candles_lie_in_the_home(monkeypatch):
    assert read(monkeypatch, {}) is None


def test_bucket_folder_endpoint_and_keys_are_read(monkeypatch):
    found = read(monkeypatch, S3 | KEYS | {"HINDSIGHT_S3_ENDPOINT": "https://s3.example.org:9000/"})
    assert found == {
        "bucket": "candles",
        "prefix": "site/one",
        "endpoint": "https://s3.example.org:9000",
        "region": "us-east-1",
        "access_key_id": "an id",
        "secret_access_key": "a secret",
        "timeout_s": 30,
    }


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"HINDSIGHT_CANDLES_URL": "/srv/candles"}, "no s3://bucket"),
        ({"HINDSIGHT_CANDLES_URL": "s3://"}, "no s3://bucket"),
        ({"HINDSIGHT_CANDLES_URL": "s3://id:a secret@candles"}, "no s3://bucket"),
        ({"HINDSIGHT_CANDLES_URL": "s3://candles/../a secret"}, "no s3://bucket"),
        (S3 | {"HINDSIGHT_S3_ENDPOINT": "s3.example.org"}, "no address such as"),
        (S3 | {"HINDSIGHT_S3_ENDPOINT": "https://id:a secret@s3.example.org"}, "no address such as"),
        (S3 | {"HINDSIGHT_S3_ENDPOINT": "https://s3.example.org/bucket"}, "no address such as"),
        (S3 | {"HINDSIGHT_S3_ACCESS_KEY_ID": "an id"}, "go together"),
        (S3 | {"HINDSIGHT_S3_SECRET_ACCESS_KEY": "a secret"}, "go together"),
        (KEYS, "without HINDSIGHT_CANDLES_URL"),
        (S3 | {"HINDSIGHT_S3_TIMEOUT_S": "0"}, "between 1 and 600"),
    ],
)
def test_what_makes_no_sense_is_refused_without_showing_a_key(monkeypatch, variables, sentence):
    with pytest.raises(ImproperlyConfigured, match=sentence) as caught:
        read(monkeypatch, variables)
    assert "a secret" not in str(caught.value)
