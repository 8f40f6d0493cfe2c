"""The account page: profile, API tokens, use of quotas."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.forms import ProfileForm, TokenForm
from accounts.http import AuthedRequest
from accounts.models import ApiToken
from accounts.services import TooManyTokens, create_token, list_quota_use


@login_required
@require_GET
def account(request: AuthedRequest) -> HttpResponse:
    return _render_account(request)


@login_required
@require_POST
def account_profile(request: AuthedRequest) -> HttpResponse:
    form = ProfileForm(request.POST, instance=request.user)
    if not form.is_valid():
        return _render_account(request, profile_form=form)
    form.save()
    messages.success(request, "Your profile is saved.")
    return redirect("account")


@never_cache
@login_required
@require_POST
def token_create(request: AuthedRequest) -> HttpResponse:
    """Answers with the page itself, not a redirect: the token's text exists only in this one answer."""
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _render_account(request, token_form=form)
    try:
        row, token = create_token(request.user, form.cleaned_data["name"], form.cleaned_data["days"])
    except TooManyTokens as refusal:
        form.add_error(None, str(refusal))
        return _render_account(request, token_form=form)
    return _render_account(request, new_token=token, new_token_row=row)


@login_required
@require_POST
def token_revoke(request: AuthedRequest, token_key: str) -> HttpResponse:
    token = get_object_or_404(ApiToken.objects.visible_to(request.user), token_key=token_key)
    token.delete()
    messages.success(request, f"The token “{token.name}” no longer works.")
    return redirect("account")


def _render_account(request: AuthedRequest, **forms: object) -> HttpResponse:
    context = {
        "profile_form": ProfileForm(instance=request.user),
        "token_form": TokenForm(),
        "tokens": ApiToken.objects.visible_to(request.user),
        "quota_use": list_quota_use(request.user),
    }
    has_errors = any(getattr(form, "errors", None) for form in forms.values())
    return render(request, "accounts/account_detail.html", context | forms, status=422 if has_errors else 200)
