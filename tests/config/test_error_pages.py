"""What goes wrong outside every view is answered in the API's one shape under /api/, as a page elsewhere."""

import json

import pytest
from django.test import RequestFactory
from django.urls import get_resolver

SHAPE = {"field", "code", "message"}


@pytest.fixture
def failing_client(owner_client):
    owner_client.raise_request_exception = False
    return owner_client


def test_an_error_of_ours_is_a_refusal_to_programs_and_a_page_to_people(failing_client, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr("backtests.models.BacktestRunQuerySet.visible_to", fail)
    answer = failing_client.get("/api/v1/backtests/")
    assert (answer.status_code, answer["Content-Type"]) == (500, "application/json")
    assert set(answer.json()) == SHAPE
    assert answer.json()["code"] == "internal"
    page = failing_client.get("/runs/")
    assert (page.status_code, page["Content-Type"].split(";")[0]) == (500, "text/html")
    assert b"a secret of ours" not in answer.content + page.content


def test_an_address_that_leads_nowhere_is_a_refusal_to_programs_and_a_page_to_people(anonymous, db):
    answer = anonymous.get("/api/v1/nonsense/")
    assert (answer.status_code, set(answer.json())) == (404, SHAPE)
    assert answer.json()["code"] == "not_found"
    page = anonymous.get("/nonsense/")
    assert (page.status_code, page["Content-Type"].split(";")[0]) == (404, "text/html")


def test_the_handlers_are_the_ones_that_django_calls():
    request = RequestFactory().get("/api/v1/")
    for code, arguments in ((404, (request,)), (500, (request,))):
        handler = get_resolver().resolve_error_handler(code)
        answer = handler(*arguments, **({"exception": Exception()} if code == 404 else {}))
        assert set(json.loads(answer.content)) == SHAPE
