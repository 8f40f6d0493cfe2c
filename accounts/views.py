"""The account page: profile and API tokens."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render

from accounts.http import AuthedRequest


@login_required
def account(request: AuthedRequest) -> HttpResponse:
    return render(request, "accounts/account_detail.html")
