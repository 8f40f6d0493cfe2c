import re

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command

pytestmark = pytest.mark.django_db


def test_first_staff_account_can_sign_in_with_the_printed_password(capsys, django_user_model):
    call_command("create_first_staff")
    printed = capsys.readouterr().out
    email, password = re.search(r"account: (\S+) +password: (\S+)", printed).groups()
    user = authenticate(username=email, password=password)
    assert user == django_user_model.objects.get()
    assert user.is_staff
    assert user.is_superuser


def test_a_second_call_changes_nothing_and_prints_no_password(capsys, django_user_model):
    call_command("create_first_staff")
    capsys.readouterr()
    call_command("create_first_staff")
    assert "password" not in capsys.readouterr().out
    assert django_user_model.objects.count() == 1
