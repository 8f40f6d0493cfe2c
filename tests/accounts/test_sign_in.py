"""Signing up, in and out, and getting back in after forgetting the password."""

import re

import pytest
from django.contrib.auth import get_user
from django.core import mail

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse"
NEW_PASSWORD = "battery staple 7"


def sign_in(client, email="owner@example.org", password=PASSWORD):
    return client.post("/accounts/login/", {"login": email, "password": password})


def sign_up(client, email="new@example.org", password=NEW_PASSWORD, again=None):
    return client.post("/accounts/signup/", {"email": email, "password1": password, "password2": again or password})


def is_signed_in(client):
    return get_user(client).is_authenticated


def test_sign_up_signs_in_at_once_while_no_mail_server_is_configured(client):
    assert sign_up(client, "New.Person@Example.org").url == "/"
    assert get_user(client).email == "new.person@example.org"


@pytest.mark.parametrize("password", ["short", "1234567890123", "password123", "new@example.org"])
def test_sign_up_refuses_weak_passwords(client, password):
    page = sign_up(client, password=password)
    assert page.status_code == 200
    assert page.context["form"].errors["password1"]
    assert not is_signed_in(client)


def test_sign_up_refuses_two_different_passwords(client):
    assert sign_up(client, again="another battery 8").context["form"].errors["password2"]


def test_an_address_has_one_account_whatever_its_case(client, owner):
    page = sign_up(client, "OWNER@example.org")
    assert page.context["form"].errors["email"]
    assert not is_signed_in(client)


def test_sign_in_ignores_the_case_of_the_address(client, owner):
    assert sign_in(client, "Owner@Example.org").url == "/"
    assert is_signed_in(client)


def test_a_wrong_password_and_an_unknown_address_look_the_same(client, owner):
    known = sign_in(client, password="wrong").context["form"].errors
    unknown = sign_in(client, email="nobody@example.org").context["form"].errors
    assert known == unknown
    assert known


def test_five_failures_lock_the_address_even_for_the_right_password(client, owner):
    for _ in range(5):
        sign_in(client, password="wrong")
    page = sign_in(client)
    assert not is_signed_in(client)
    assert "too many" in str(page.context["form"].errors).lower()


def test_a_switched_off_account_cannot_sign_in(client, owner):
    owner.is_active = False
    owner.save()
    sign_in(client)
    assert not is_signed_in(client)


def test_sign_in_leads_to_the_page_that_asked_for_it_and_nowhere_else(client, owner):
    query = {"login": owner.email, "password": PASSWORD, "next": "/account/"}
    assert client.post("/accounts/login/", query).url == "/account/"
    client.logout()
    assert client.post("/accounts/login/", query | {"next": "https://evil.example/"}).url == "/"


def test_sign_out_needs_a_click_and_ends_the_session(owner_client):
    assert owner_client.get("/accounts/logout/").status_code == 200
    assert is_signed_in(owner_client)
    assert owner_client.post("/accounts/logout/").url == "/"
    assert not is_signed_in(owner_client)


def test_a_reset_link_sets_a_new_password_once(client, owner):
    assert client.post("/accounts/password/reset/", {"email": owner.email}).url == "/accounts/password/reset/done/"
    link = re.search(r"https?://[^/]+(/accounts/password/reset/key/\S+)", mail.outbox[0].body)[1]
    form_page = client.get(link)
    passwords = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert client.post(form_page.url, passwords).status_code == 302
    sign_in(client, password=NEW_PASSWORD)
    assert is_signed_in(client)

    client.logout()
    client.session.flush()
    assert "no longer works" in client.get(link, follow=True).content.decode()


def test_reset_for_an_unknown_address_looks_the_same_and_sends_nothing(client):
    page = client.post("/accounts/password/reset/", {"email": "nobody@example.org"})
    assert page.url == "/accounts/password/reset/done/"
    assert mail.outbox == []


def test_with_a_mail_server_the_address_must_be_confirmed_first(client, settings):
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    settings.HAS_MAIL_SERVER = True
    assert sign_up(client).url == "/accounts/confirm-email/"
    assert not is_signed_in(client)
    link = re.search(r"https?://[^/]+(/accounts/confirm-email/\S+)", mail.outbox[0].body)[1]
    assert "new@example.org" in client.get(link).content.decode()
    client.post(link)
    sign_in(client, "new@example.org", NEW_PASSWORD)
    assert is_signed_in(client)


def test_a_new_address_is_added_confirmed_and_then_signed_in_with(client, owner):
    sign_in(client)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.post("/accounts/email/", {"email": "fresh@example.org", "action_add": ""})
    owner.refresh_from_db()
    assert owner.email == "owner@example.org"
    link = re.search(r"https?://[^/]+(/accounts/confirm-email/\S+)", mail.outbox[-1].body)[1]
    client.post(link)
    client.post("/accounts/email/", {"email": "fresh@example.org", "action_primary": ""})
    owner.refresh_from_db()
    assert owner.email == "fresh@example.org"
    client.logout()
    sign_in(client, "fresh@example.org")
    assert is_signed_in(client)


def test_changing_the_address_asks_for_the_password_again(owner_client):
    answer = owner_client.post("/accounts/email/", {"email": "fresh@example.org", "action_add": ""})
    assert answer.url.startswith("/accounts/reauthenticate/")
    assert mail.outbox == []


def test_the_admin_has_no_door_of_its_own(client):
    assert client.get("/admin/login/").url.startswith("/accounts/login/")


def test_an_account_made_by_staff_can_sign_in_where_mail_is_mandatory(client, staff_client, settings):
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    passwords = {"usable_password": "true", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    staff_client.post("/admin/accounts/user/add/", {"email": "colleague@example.org", **passwords})
    sign_in(client, "colleague@example.org", NEW_PASSWORD)
    assert is_signed_in(client)
