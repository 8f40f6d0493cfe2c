from dataclasses import replace

from marketdata.checks import check_bucket
from marketdata.store.s3_files import S3Options


def as_setting(options):
    return {name: getattr(options, name) for name in S3Options.__slots__}


def test_candles_in_a_folder_need_no_check(settings):
    settings.CANDLE_S3 = None
    assert check_bucket() == []


def test_a_bucket_that_lets_us_in_is_fine(s3_options, settings):
    settings.CANDLE_S3 = as_setting(s3_options)
    assert check_bucket() == []


def test_a_bucket_that_refuses_the_keys_is_an_error_that_shows_none(s3_options, settings):
    settings.CANDLE_S3 = as_setting(replace(s3_options, secret_access_key="wrong-but-secret"))
    [found] = check_bucket()
    assert "refuses the keys" in found.msg
    assert "wrong-but-secret" not in str(found)
