"""The look-ahead check of versions: fragments for the strategies' pages and for a run's, and the wish for another."""

import uuid

from django.contrib.auth.decorators import login_required
from django.db.models import OuterRef, Q, Subquery
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.http import AuthedRequest, is_fragment
from backtests.models import VersionCheck
from backtests.presentation.checks import CheckView
from backtests.views.runs import read_uuid
from strategies.models import StrategyVersion

MAX_BADGES = 200


@never_cache
@login_required
@require_GET
def version_badges(request: AuthedRequest) -> HttpResponse:
    """Badges for the places that pages keep: ?version=id, ?all_of=id of a strategy; ?strategy=id for its newest one."""
    versions = StrategyVersion.objects.visible_to(request.user).select_related("lookahead_check")
    named = Q(pk__in=_wanted(request, "version")) | Q(strategy__in=_wanted(request, "all_of")[:1])
    rows = [(row.pk, row) for row in versions.filter(named).order_by("-created_at").defer("source")[:MAX_BADGES]]
    newest = StrategyVersion.objects.filter(strategy=OuterRef("strategy")).order_by("-number").values("pk")[:1]
    of_strategies = versions.filter(strategy__in=_wanted(request, "strategy"), pk=Subquery(newest)).defer("source")
    rows += [(row.strategy_id, row) for row in of_strategies]
    context = {"rows": [(f"check-{place}", version, view_of(version)) for place, version in rows]}
    return render(request, "backtests/_version_badges.html", context)


@never_cache
@login_required
@require_GET
def version_check(request: AuthedRequest, version_id: uuid.UUID) -> HttpResponse:
    """What the check of a version found. Polls until it is finished."""
    return _show(request, _find_version(request, version_id))


@login_required
@require_POST
def version_check_again(request: AuthedRequest, version_id: uuid.UUID) -> HttpResponse:
    version = _find_version(request, version_id)
    VersionCheck.objects.filter(pk=version.pk).request_again()
    if is_fragment(request):
        return _show(request, _find_version(request, version_id))
    return redirect("strategy_version", version.strategy_id, version.number)


def view_of(version: StrategyVersion) -> CheckView:
    return CheckView(getattr(version, "lookahead_check", None))


def _show(request: AuthedRequest, version: StrategyVersion) -> HttpResponse:
    return render(request, "backtests/_version_check.html", {"version": version, "view": view_of(version)})


def _find_version(request: AuthedRequest, version_id: uuid.UUID) -> StrategyVersion:
    versions = StrategyVersion.objects.visible_to(request.user).select_related("lookahead_check", "strategy")
    return get_object_or_404(versions, pk=version_id)


def _wanted(request: AuthedRequest, name: str) -> list[uuid.UUID]:
    return [found for word in request.GET.getlist(name)[:MAX_BADGES] if (found := read_uuid(word))]
