import pytest
from django.utils import timezone

from accounts.models import ApiToken
from accounts.services import create_token

pytestmark = pytest.mark.django_db


def test_account_page_needs_sign_in(anonymous):
    assert anonymous.get("/account/").url == "/accounts/login/?next=/account/"


def test_account_page_shows_profile_tokens_and_quotas(owner, owner_client):
    create_token(owner, "notebook")
    page = owner_client.get("/account/").content.decode()
    assert owner.email in page
    assert "notebook" in page
    assert "Strategies" in page


def test_account_page_shows_no_token_of_a_stranger(stranger, owner_client):
    create_token(stranger, "a secret plan")
    assert "a secret plan" not in owner_client.get("/account/").content.decode()


def test_profile_saves_the_display_name(owner, owner_client):
    assert owner_client.post("/account/profile/", {"display_name": "Ada"}).url == "/account/"
    owner.refresh_from_db()
    assert owner.get_short_name() == "Ada"


def test_profile_takes_nothing_but_the_display_name(owner, owner_client):
    owner_client.post("/account/profile/", {"display_name": "Ada", "is_staff": "on", "email": "x@example.org"})
    owner.refresh_from_db()
    assert (owner.is_staff, owner.email) == (False, "owner@example.org")


def test_a_display_name_is_shown_as_text(owner_client):
    owner_client.post("/account/profile/", {"display_name": "<script>alert(1)</script>"})
    assert "<script>alert" not in owner_client.get("/account/").content.decode()


def test_a_new_token_is_shown_once_and_only_its_hash_is_kept(owner, owner_client):
    answer = owner_client.post("/account/tokens/", {"name": "notebook", "days": "30"})
    token = answer.context["new_token"]
    assert token in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert token not in owner_client.get("/account/").content.decode()
    row = ApiToken.objects.get(user=owner)
    assert token not in (row.digest, row.token_key)
    assert 29 <= (row.expiry - timezone.now()).days <= 30


@pytest.mark.parametrize(
    "fields", [{}, {"name": "x"}, {"name": "x", "days": "100000"}, {"name": "x" * 81, "days": "7"}]
)
def test_a_bad_token_form_makes_no_token(owner, owner_client, fields):
    assert owner_client.post("/account/tokens/", fields).status_code == 422
    assert not ApiToken.objects.exists()


def test_tokens_stop_at_the_quota(owner, owner_client):
    owner.limit_overrides = {"max_api_tokens": 1}
    owner.save()
    owner_client.post("/account/tokens/", {"name": "first", "days": "7"})
    answer = owner_client.post("/account/tokens/", {"name": "second", "days": "7"})
    assert answer.status_code == 422
    assert "Revoke one first" in answer.content.decode()


def test_revoking_a_token_deletes_it(owner, owner_client):
    row, _ = create_token(owner, "notebook")
    assert owner_client.post(f"/account/tokens/{row.token_key}/revoke/").url == "/account/"
    assert not ApiToken.objects.exists()


def test_a_stranger_cannot_revoke_my_token(owner, stranger_client):
    row, _ = create_token(owner, "notebook")
    assert stranger_client.post(f"/account/tokens/{row.token_key}/revoke/").status_code == 404
    assert ApiToken.objects.exists()


@pytest.mark.parametrize("path", ["/account/profile/", "/account/tokens/", "/account/tokens/abc/revoke/"])
def test_actions_take_only_post(owner_client, path):
    assert owner_client.get(path).status_code == 405
