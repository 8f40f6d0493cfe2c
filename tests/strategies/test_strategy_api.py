"""Strategies over HTTP: the same rules as on the pages, refusals as {field, code, message}."""

import pytest
from django.urls import reverse

from strategies import services
from strategies.models import Strategy

FIRST = "class S(Strategy):\n    def initialize(self): ...\n    def on_data(self, data): ...\n"
SECOND = FIRST + "# second\n"
LIST = "/api/v1/strategies/"


def post(client, address, **body):
    return client.post(address, body, content_type="application/json")


def refusal(answer):
    body = answer.json()
    assert body["message"]
    return body["field"], body["code"]


@pytest.fixture
def address(strategy):
    return f"{LIST}{strategy.pk}/"


def test_creating_and_reading(owner, owner_client):
    answer = post(owner_client, LIST, name="Mine", source=FIRST, description="Words")
    body = answer.json()
    assert (answer.status_code, body["name"], body["description"], body["version"]) == (201, "Mine", "Words", 1)
    assert owner_client.get(f"{LIST}{body['id']}/").json() == body
    assert owner_client.get(LIST).json() == {"count": 1, "next": None, "previous": None, "results": [body]}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ("name", "required")),
        ({"name": "Mine", "source": FIRST}, ("name", "name_taken")),
        ({"name": "x" * 121, "source": FIRST}, ("name", "bad_name")),
        ({"name": "Other", "source": ""}, ("source", "blank")),
        ({"name": "Other", "source": "\n"}, ("source", "empty_source")),
        ({"name": "Other", "source": "a\0"}, ("source", "null_characters_not_allowed")),
        ({"name": "Other", "source": "'\ud800'"}, ("source", "surrogate_characters_not_allowed")),
        ({"name": "Other", "source": "#" * 200_001}, ("source", "source_too_long")),
        ({"name": ["a"], "source": 5.5}, ("name", "invalid")),
        ({"name": "Other", "source": FIRST, "description": "x" * 2001}, ("description", "bad_description")),
    ],
)
def test_bad_strategies_are_refused_by_field(owner_client, strategy, body, expected):
    answer = post(owner_client, LIST, **body)
    assert (answer.status_code, refusal(answer)) == (400, expected)
    assert Strategy.objects.count() == 1


def test_a_text_that_is_no_json_is_refused(owner_client):
    answer = owner_client.post(LIST, "{", content_type="application/json")
    assert (answer.status_code, refusal(answer)) == (400, ("", "parse_error"))


def test_a_full_quota_is_about_the_request_as_a_whole(owner, owner_client, strategy):
    owner.limit_overrides = {"max_strategies": 1}
    owner.save()
    answer = post(owner_client, LIST, name="Second", source=FIRST)
    assert (answer.status_code, refusal(answer)) == (400, ("", "too_many_strategies"))


def test_describing(owner_client, strategy, address):
    answer = owner_client.patch(address, {"name": "Better"}, content_type="application/json")
    assert (answer.status_code, answer.json()["name"], answer.json()["description"]) == (200, "Better", "What it does")
    answer = owner_client.patch(address, {"name": ""}, content_type="application/json")
    assert refusal(answer) == ("name", "blank")


def test_deleting_archives(owner_client, strategy, address):
    assert owner_client.delete(address).status_code == 204
    assert owner_client.get(LIST).json()["count"] == 0
    assert owner_client.get(LIST, {"archived": "true"}).json()["count"] == 1
    assert owner_client.get(address).json()["archived_at"]
    assert refusal(post(owner_client, f"{address}versions/", source="# x")) == ("", "archived")


def test_the_list_is_filtered_and_paged(owner, owner_client, strategy):
    for i in range(3):
        services.create_strategy(owner, f"Breakout {i}", FIRST)
    assert owner_client.get(LIST, {"name": "break"}).json()["count"] == 3
    page = owner_client.get(LIST, {"limit": 2, "offset": 2}).json()
    assert (page["count"], [row["name"] for row in page["results"]]) == (4, ["Breakout 0", "Mine"])
    assert owner_client.get(LIST, {"archived": "perhaps", "limit": "x"}).status_code == 200


def test_versions(owner_client, strategy, address):
    listed = owner_client.get(f"{address}versions/").json()
    assert [row["number"] for row in listed["results"]] == [2, 1]
    assert "source" not in listed["results"][0]
    body = owner_client.get(f"{address}versions/1/").json()
    assert (body["number"], body["source"], body["params"], body["problems"]) == (1, FIRST, [], [])
    for number in (0, 3, 10**30):
        assert owner_client.get(f"{address}versions/{number}/").status_code == 404


def test_saving_a_version(owner_client, strategy, address):
    answer = post(owner_client, f"{address}versions/", source="class S(Strategy):\n    x = Param(1)\n", based_on=2)
    body = answer.json()
    assert (answer.status_code, body["number"], body["params"][0]["name"]) == (201, 3, "x")
    assert [problem["code"] for problem in body["problems"]] == ["missing_method", "missing_method"]
    again = post(owner_client, f"{address}versions/", source=body["source"])
    assert (again.status_code, again.json()["number"]) == (200, 3)


def test_saving_over_a_newer_version_is_a_conflict(owner_client, strategy, address):
    answer = post(owner_client, f"{address}versions/", source="# mine", based_on=1)
    assert (answer.status_code, refusal(answer), answer.json()["latest"]) == (409, ("based_on", "version_conflict"), 2)
    assert strategy.versions.count() == 2
    assert post(owner_client, f"{address}versions/", source="# mine").status_code == 201


@pytest.mark.parametrize("based_on", ["x", 0, -1, 2**40, 1.5])
def test_a_base_that_makes_no_sense(owner_client, strategy, address, based_on):
    answer = post(owner_client, f"{address}versions/", source="# mine", based_on=based_on)
    assert (answer.status_code, refusal(answer)[0]) == (400, "based_on")


@pytest.mark.parametrize("tail", ["", "versions/", "versions/1/"])
def test_a_strangers_strategy_is_not_there(stranger_client, staff_client, anonymous, address, tail):
    assert stranger_client.get(address + tail).status_code == 404
    assert staff_client.get(address + tail).status_code == 404
    assert anonymous.get(address + tail).status_code in (401, 403)


def test_a_stranger_changes_nothing(stranger_client, strategy, address):
    assert stranger_client.patch(address, {"name": "x"}, content_type="application/json").status_code == 404
    assert stranger_client.delete(address).status_code == 404
    assert post(stranger_client, f"{address}versions/", source="# x").status_code == 404
    strategy.refresh_from_db()
    assert (strategy.name, strategy.archived_at, strategy.versions.count()) == ("Mine", None, 2)


@pytest.mark.parametrize("method", ["put", "delete"])
def test_methods_that_are_not_offered(owner_client, method):
    assert getattr(owner_client, method)(LIST).status_code == 405


def test_the_schema_describes_these_addresses(owner_client):
    schema = owner_client.get(reverse("api_schema"), {"format": "json"}).json()
    paths = [path for path in schema["paths"] if path.startswith("/api/v1/strategies/")]
    assert len(paths) == 5
    listed = schema["paths"]["/api/v1/strategies/"]["get"]["parameters"]
    assert {"name", "archived", "limit", "offset"} <= {parameter["name"] for parameter in listed}


@pytest.mark.parametrize("query", [f"limit={10**30}", f"offset={10**30}", "limit=-1", "limit=x"])
def test_a_page_of_any_size_is_answered(owner_client, strategy, query):
    assert owner_client.get(f"{LIST}?{query}").status_code == 200
    assert owner_client.get(f"{LIST}{strategy.pk}/versions/?{query}").status_code == 200


def test_options_are_answered_by_the_schema_alone(owner_client, strategy, address):
    assert {owner_client.options(url).status_code for url in (LIST, address, f"{address}versions/")} == {405}
