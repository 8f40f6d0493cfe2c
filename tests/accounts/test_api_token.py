import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import ApiToken
from accounts.services import create_token

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse"


def sign_in(email="owner@example.org", password=PASSWORD, **fields):
    return APIClient().post("/api/v1/auth/token/", {"email": email, "password": password, **fields}, format="json")


def client_with(token):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


def test_a_password_gives_a_token_that_works(owner):
    answer = sign_in(name="sweep", days=7)
    assert answer.status_code == 201
    assert answer.data["token"].startswith("hindsight_")
    assert answer["Cache-Control"] == "no-store"
    account = client_with(answer.data["token"]).get("/api/v1/account/")
    assert account.data["email"] == owner.email
    assert account.data["limits"]["max_strategies"] == 200


def test_a_wrong_password_gets_401_and_no_token(owner):
    answer = sign_in(password="wrong")
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Token")
    assert not ApiToken.objects.exists()


def test_an_unknown_address_looks_like_a_wrong_password(owner):
    assert sign_in(email="nobody@example.org").data == sign_in(password="wrong").data


def test_five_failures_lock_page_and_api_together(owner, client):
    for _ in range(5):
        sign_in(password="wrong")
    assert sign_in().status_code == 429
    client.post("/accounts/login/", {"login": owner.email, "password": PASSWORD})
    assert "_auth_user_id" not in client.session


def test_a_switched_off_account_gets_no_token_and_its_tokens_die(owner):
    _, token = create_token(owner, "old")
    owner.is_active = False
    owner.save()
    assert sign_in().status_code == 401
    assert client_with(token).get("/api/v1/account/").status_code == 401


def test_where_mail_is_mandatory_an_unconfirmed_address_gets_no_token(owner, settings):
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    answer = sign_in()
    assert answer.status_code == 401
    assert "Confirm" in answer.data["message"]


@pytest.mark.parametrize(
    "body", [{}, {"email": "x"}, {"email": "owner@example.org"}, [], "x", {"email": 1, "password": {}}]
)
def test_nonsense_is_refused_with_400(body):
    assert APIClient().post("/api/v1/auth/token/", body, format="json").status_code == 400


@pytest.mark.parametrize("days", [0, 367, "x"])
def test_a_token_lives_a_day_to_a_year(owner, days):
    assert sign_in(days=days).status_code == 400


def test_delete_revokes_the_token_of_the_request(owner):
    _, token = create_token(owner, "one")
    create_token(owner, "two")
    assert client_with(token).delete("/api/v1/auth/token/").status_code == 204
    assert client_with(token).get("/api/v1/account/").status_code == 401
    assert [row.name for row in ApiToken.objects.all()] == ["two"]


def test_delete_without_a_token_is_refused(owner, owner_client):
    assert owner_client.delete("/api/v1/auth/token/").status_code == 401


def test_an_expired_token_is_refused(owner):
    row, token = create_token(owner, "old")
    row.expiry = timezone.now() - timezone.timedelta(seconds=1)
    row.save()
    assert client_with(token).get("/api/v1/account/").status_code == 401


def test_the_token_quota_answers_409(owner):
    owner.limit_overrides = {"max_api_tokens": 1}
    owner.save()
    create_token(owner, "one")
    assert (sign_in().status_code, sign_in().data["code"]) == (409, "too_many_tokens")


def test_every_refusal_has_field_code_and_message(owner, anonymous):
    assert sign_in(days=0).data == {
        "field": "days",
        "code": "min_value",
        "message": "Ensure this value is greater than or equal to 1.",
    }
    assert sign_in(password="wrong").data["code"] == "sign_in_refused"
    assert anonymous.get("/api/v1/account/").json()["code"] == "not_authenticated"
    assert anonymous.get("/api/v1/auth/token/").json()["code"] == "method_not_allowed"


def test_the_account_is_for_the_signed_in(anonymous, owner_client):
    assert anonymous.get("/api/v1/account/").status_code == 401
    assert owner_client.get("/api/v1/account/").status_code == 200


def test_the_schema_tells_the_account_endpoints(anonymous):
    schema = anonymous.get("/api/v1/schema/?format=json").json()
    assert set(schema["paths"]["/api/v1/auth/token/"]) == {"post", "delete"}
    assert "/api/v1/account/" in schema["paths"]


@pytest.mark.parametrize("token", ["é", "hindsight_\0", "x" * 5_000, "<>", "_"])
def test_bytes_that_are_in_no_token_are_refused(owner, token):
    answer = client_with(token).get("/api/v1/account/")
    assert (answer.status_code, answer.json()["code"]) == (401, "authentication_failed")
