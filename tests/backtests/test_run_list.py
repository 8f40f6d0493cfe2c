import pytest
from django.urls import reverse

from tests.builders import build_run

LIST = reverse("run_list")


def test_the_list_shows_the_runs_of_the_user_alone(owner_client, owner, stranger):
    mine, other = build_run(owner, "cancelled"), build_run(stranger, "cancelled")
    page = owner_client.get(LIST).text
    assert str(mine.pk) in page
    assert str(other.pk) not in page


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ("status=failed", True),
        ("status=succeeded", False),
        ("market=usdm", True),
        ("market=spot", False),
        ("symbol=btc", True),
        ("symbol=eth", False),
    ],
)
def test_filters_narrow_the_list(owner_client, owner, query, is_found):
    run = build_run(owner, "failed")
    assert (str(run.pk) in owner_client.get(f"{LIST}?{query}").text) is is_found


def test_the_strategy_filter_names_one_strategy(owner_client, owner):
    run = build_run(owner, "failed")
    strategy_id = run.strategy_version.strategy_id
    assert str(run.pk) in owner_client.get(f"{LIST}?strategy={strategy_id}").text
    assert owner_client.get(f"{LIST}?strategy=nonsense").status_code == 200


def test_a_failed_run_says_why_in_the_list(owner_client, owner):
    build_run(owner, "failed")
    assert "The strategy raised an error" in owner_client.get(LIST).text


def test_the_rows_come_as_a_fragment_too(owner_client, owner):
    build_run(owner)
    fragment = owner_client.get(LIST, headers={"HX-Request": "true"}).text
    assert "<html" not in fragment
    assert 'id="run-rows"' in fragment
    assert "every 2s" in fragment


def test_a_list_without_active_runs_does_not_poll(owner_client, owner):
    build_run(owner, "cancelled")
    assert 'hx-trigger="every' not in owner_client.get(LIST).text


def test_long_lists_have_pages_that_keep_the_filter(owner_client, owner):
    version = build_run(owner, "failed").strategy_version
    for _ in range(26):
        build_run(owner, "failed", version)
    page = owner_client.get(f"{LIST}?status=failed").text
    assert "1–25 of 27" in page
    assert "status=failed&amp;page=2" in page
    assert "26–27 of 27" in owner_client.get(f"{LIST}?status=failed&page=2").text


def test_an_empty_list_offers_the_sample(owner_client):
    assert "Run the sample" in owner_client.get(LIST).text


def test_the_list_needs_a_user_and_is_read_only(anonymous, owner_client, db):
    assert anonymous.get(LIST).status_code == 302
    assert owner_client.post(LIST).status_code == 405
