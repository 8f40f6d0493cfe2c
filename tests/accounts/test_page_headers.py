"""What every page carries: the content policy, no inline script or style, assets that need no build in tests."""

import re

import pytest
from django.urls import reverse

pytestmark = pytest.mark.django_db

PUBLIC = ["account_login", "account_signup", "account_reset_password", "account_reset_password_done", "api_docs"]
PRIVATE = ["account", "account_change_password", "account_logout"]
INLINE = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>|<style\b|\sstyle=|\son[a-z]+=", re.IGNORECASE)


def check_page(answer):
    policy = answer["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert answer["X-Frame-Options"] == "DENY"
    text = answer.content.decode()
    assert not INLINE.findall(text)
    assert not re.findall(r"""(?:src|href|action)=["'](?:https?:)?//""", text)
    return text


@pytest.mark.parametrize("name", PUBLIC)
def test_public_pages_keep_the_content_policy(anonymous, name):
    text = check_page(anonymous.get(reverse(name)))
    assert "/static/dist/app.css" in text


@pytest.mark.parametrize("name", PRIVATE)
def test_private_pages_keep_the_content_policy(owner_client, name):
    check_page(owner_client.get(reverse(name)))


def test_the_admin_keeps_the_content_policy(staff_client):
    check_page(staff_client.get("/admin/"))


def test_an_unknown_address_gets_a_page_of_the_site(anonymous):
    answer = anonymous.get("/no/such/page/")
    assert answer.status_code == 404
    assert "There is nothing here" in check_page(answer)


def test_a_missing_csrf_token_gets_a_page_of_the_site(owner):
    from django.test import Client

    answer = Client(enforce_csrf_checks=True).post("/accounts/login/", {"login": owner.email, "password": "x"})
    assert answer.status_code == 403
    assert "too old" in check_page(answer)


def test_an_error_page_needs_nothing_of_the_site(anonymous, monkeypatch):
    from django.test import Client

    def break_down(*args, **kwargs):
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr("accounts.views.ProfileForm", break_down)
    client = Client(raise_request_exception=False)
    from accounts.models import User

    client.force_login(User.objects.create_user("a@example.org"))
    answer = client.get("/account/")
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.content.decode()


def test_cookies_cannot_be_read_by_scripts(client, owner):
    client.post("/accounts/login/", {"login": owner.email, "password": "correct horse"})
    client.get("/accounts/logout/")
    assert client.cookies["hindsight_session"]["httponly"]
    assert client.cookies["hindsight_csrf"]["httponly"]
    assert client.cookies["hindsight_session"]["samesite"] == "Lax"
