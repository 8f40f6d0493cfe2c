import shutil

import pytest
from django.urls import reverse

from tests.backtests.finished_runs import build_finished_run
from tests.builders import build_candles


@pytest.fixture
def finished(owner, hindsight_home):
    build_candles()
    return build_finished_run(owner)


def chart_of(client, run, query="", **more):
    return client.get(reverse("run_chart", args=[run.pk]) + query, **more)


def test_the_chart_is_json_that_browsers_may_keep_for_ever(owner_client, finished):
    answer = chart_of(owner_client, finished)
    assert answer["Content-Type"] == "application/json"
    assert "immutable" in answer["Cache-Control"]
    assert "private" in answer["Cache-Control"]
    figure = answer.json()["figure"]
    assert figure["data"][0]["type"] == "candlestick"
    assert not figure["layout"]["template"]  # plotly's own would bring colours and 7 kB


def test_an_unchanged_chart_is_not_sent_again(owner_client, finished):
    etag = chart_of(owner_client, finished)["ETag"]
    again = chart_of(owner_client, finished, headers={"If-None-Match": etag})
    assert again.status_code == 304
    assert not again.content
    other = chart_of(owner_client, finished, "?px=500", headers={"If-None-Match": etag})
    assert other.status_code == 200


def test_a_span_can_be_asked_for(owner_client, finished):
    first = finished.from_ms + 86_400_000
    answer = chart_of(owner_client, finished, f"?from={first}&to={first + 86_400_000}&px=1200").json()
    assert (answer["from_ms"], answer["to_ms"]) == (first, first + 86_400_000)
    assert answer["title"] == "24 bars of 1h, each one drawn"


@pytest.mark.parametrize("query", ["?from=x&to=y&px=z", "?from=1e400", "?from=9&to=3", "?px=-5", "?from=nan"])
def test_nonsense_means_the_whole_span(owner_client, finished, query):
    answer = chart_of(owner_client, finished, query).json()
    assert (answer["from_ms"], answer["to_ms"]) == (finished.from_ms, finished.to_ms)


def test_missing_candle_files_are_explained(owner_client, finished, hindsight_home):
    shutil.rmtree(hindsight_home / "candles")
    shutil.rmtree(hindsight_home / "cache", ignore_errors=True)
    answer = chart_of(owner_client, finished)
    assert answer.status_code == 409
    assert answer.json()["code"] == "data_error"
