"""Pages and actions of strategies. A stranger's strategy does not exist here: everything starts from visible_to."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.http import AuthedRequest
from accounts.quotas import limits_of
from strategies import services
from strategies.api_reference import reference_groups, to_completions
from strategies.diffs import diff_lines
from strategies.forms import DescribeForm, NewStrategyForm, SourceForm
from strategies.models import Strategy, StrategyVersion
from strategies.services import EXAMPLES, StrategyError, VersionConflict
from strategies.source_checks import Problem, check_source, has_errors

PAGE_SIZE = 25
N_VERSIONS_SHOWN = 100
STARTER = """class MyStrategy(Strategy):
    length = Param(20, min=2, max=300)

    def initialize(self):
        self.sma = self.indicator(ta.sma, "close", length=self.length)

    def on_data(self, data):
        if self.get_position_size() == 0 and data.close > self.sma.value:
            self.buy(equity_ratio=0.95)
        elif data.close < self.sma.value:
            self.close_position()
"""


@login_required
@require_GET
def strategy_list(request: AuthedRequest) -> HttpResponse:
    visible = Strategy.objects.visible_to(request.user)
    is_archive = "archived" in request.GET
    query = request.GET.get("q", "").replace("\0", "").strip()[:100]
    rows = visible.archived() if is_archive else visible.active()
    if query:
        rows = rows.filter(name__icontains=query)
    page = Paginator(rows.with_latest(), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": [(strategy, count_errors(strategy)) for strategy in page],
        "examples": EXAMPLES,
        "is_archive": is_archive,
        "query": query,
        "n_archived": visible.archived().count(),
        "n_active": visible.active().count(),
    }
    return render(request, "strategies/strategy_list.html", context)


def count_errors(strategy: Any) -> int:
    """Errors in the newest version of a strategy of `with_latest`; remembered, since a version never changes."""
    key = f"strategy-errors-1-{strategy.latest_sha256}"
    n_errors = cache.get(key)
    if n_errors is None:
        n_errors = sum(problem.severity == "error" for problem in check_source(strategy.latest_source or ""))
        cache.set(key, n_errors, 24 * 3600)
    return int(n_errors)


@login_required
@require_http_methods(["GET", "POST"])
def strategy_new(request: AuthedRequest) -> HttpResponse:
    form = NewStrategyForm(request.POST or None, initial={"source": STARTER})
    if request.method == "POST" and form.is_valid():
        try:
            version = services.create_strategy(request.user, form.cleaned_data["name"], form.cleaned_data["source"])
        except StrategyError as error:
            form.show(error)
        else:
            return _after_save(request, version)
    context = {"form": form, "examples": EXAMPLES, "problems": _problems_of(form), **_reference_context()}
    return render(request, "strategies/strategy_new.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def example_copy(request: AuthedRequest, slug: str) -> HttpResponse:
    try:
        version = services.copy_example(request.user, slug)
    except StrategyError as error:
        messages.error(request, error.message)
        return redirect("strategy_list")
    return redirect("strategy_edit", version.strategy_id)


@login_required
@require_GET
def strategy_edit(request: AuthedRequest, strategy_id: UUID) -> HttpResponse:
    strategy = _get_strategy(request, strategy_id)
    latest = strategy.latest_version
    form = SourceForm(
        initial={"source": latest.source if latest else "", "based_on": latest.number if latest else None}
    )
    return render(request, "strategies/strategy_edit.html", _editor_context(strategy, form))


@login_required
@require_POST
def strategy_save(request: AuthedRequest, strategy_id: UUID) -> HttpResponse:
    """The editor's save: JSON for the script, pages without it. What was typed comes back with every refusal."""
    strategy = _get_strategy(request, strategy_id)
    form = SourceForm(request.POST)
    wants_json = request.headers.get("Accept", "").startswith("application/json")
    try:
        if form.is_valid():
            text, based_on = form.cleaned_data["source"], form.cleaned_data["based_on"]
            version = services.save_version(strategy, text, based_on=based_on)
            return _saved_as_json(strategy, version) if wants_json else _after_save(request, version)
    except StrategyError as error:
        form.show(error)
    except VersionConflict as conflict:
        return _show_conflict(request, strategy, conflict, wants_json)
    if wants_json:
        return JsonResponse(_first_error(form), status=422)
    return render(request, "strategies/strategy_edit.html", _editor_context(strategy, form), status=422)


@login_required
@require_POST
def strategy_check(request: AuthedRequest) -> JsonResponse:
    limit = limits_of(request.user).max_source_bytes
    problems = check_source(services.normalise_source(request.POST.get("source", "")), max_bytes=limit)
    return JsonResponse({"problems": [asdict(problem) for problem in problems]})


@login_required
@require_http_methods(["GET", "POST"])
def strategy_describe(request: AuthedRequest, strategy_id: UUID) -> HttpResponse:
    strategy = _get_strategy(request, strategy_id)
    form = DescribeForm(request.POST or None, initial={"name": strategy.name, "description": strategy.description})
    try:
        if request.method == "POST" and form.is_valid():
            services.describe_strategy(strategy, **form.cleaned_data)
            return redirect("strategy_edit", strategy.pk)
    except StrategyError as error:
        form.show(error)
    context = {"strategy": strategy, "form": form}
    return render(request, "strategies/strategy_describe.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def strategy_archive(request: AuthedRequest, strategy_id: UUID) -> HttpResponse:
    strategy = _get_strategy(request, strategy_id)
    services.archive_strategy(strategy)
    messages.success(request, f"{strategy.name} is archived. Its runs stay where they are.")
    return redirect("strategy_list")


@login_required
@require_POST
def strategy_restore(request: AuthedRequest, strategy_id: UUID) -> HttpResponse:
    strategy = _get_strategy(request, strategy_id)
    try:
        restored = services.restore_strategy(strategy)
    except StrategyError as error:
        messages.error(request, error.message)
        return redirect("strategy_edit", strategy.pk)
    messages.success(request, f"{restored.name} is back.")
    return redirect("strategy_edit", strategy.pk)


@login_required
@require_GET
def strategy_version(request: AuthedRequest, strategy_id: UUID, number: int) -> HttpResponse:
    strategy = _get_strategy(request, strategy_id)
    version = get_object_or_404(strategy.versions, number=number)
    latest = strategy.latest_version or version
    is_latest = latest.number == version.number
    other = strategy.versions.filter(number__lt=number).first() if is_latest else latest
    old, new = (other, version) if is_latest else (version, latest)
    context = {
        "strategy": strategy,
        "version": version,
        "latest": latest,
        "is_latest": is_latest,
        "old": old,
        "new": new,
        "diff": diff_lines(old.source, new.source) if old else None,
        "problems": check_source(version.source),
        "previous": strategy.versions.filter(number__lt=number).order_by("-number").first(),
        "following": strategy.versions.filter(number__gt=number).order_by("number").first(),
    }
    return render(request, "strategies/strategy_version.html", context)


@login_required
@require_POST
def version_restore(request: AuthedRequest, strategy_id: UUID, number: int) -> HttpResponse:
    strategy = _get_strategy(request, strategy_id)
    old = get_object_or_404(strategy.versions, number=number)
    try:
        version = services.save_version(strategy, old.source)
    except StrategyError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"The text of version {old.number} is now version {version.number}.")
    return redirect("strategy_edit", strategy.pk)


def _get_strategy(request: AuthedRequest, strategy_id: UUID) -> Strategy:
    return get_object_or_404(Strategy.objects.visible_to(request.user), pk=strategy_id)


def _after_save(request: AuthedRequest, version: StrategyVersion) -> HttpResponse:
    if request.POST.get("then") == "run":
        return redirect(reverse("run_new", query={"strategy": version.strategy_id}))
    messages.success(request, f"Version {version.number} is saved.")
    return redirect("strategy_edit", version.strategy_id)


def _editor_context(strategy: Strategy, form: SourceForm) -> dict[str, Any]:
    return {
        "strategy": strategy,
        "form": form,
        "problems": _problems_of(form),
        **_reference_context(),
        **_side_context(strategy),
    }


def _reference_context() -> dict[str, Any]:
    return {"reference": reference_groups(), "completions": to_completions()}


def _side_context(strategy: Strategy) -> dict[str, Any]:
    versions = strategy.versions.order_by("-number").defer("source")[:N_VERSIONS_SHOWN]
    return {"strategy": strategy, "versions": versions, "latest": versions[0] if versions else None}


def _problems_of(form: NewStrategyForm | SourceForm) -> list[Problem]:
    return check_source(services.normalise_source(str(form["source"].value() or "")))


def _saved_as_json(strategy: Strategy, version: StrategyVersion) -> JsonResponse:
    problems = check_source(version.source)
    return JsonResponse(
        {
            "number": version.number,
            "side": render_to_string("strategies/_strategy_side.html", _side_context(strategy)),
            "problems": [asdict(problem) for problem in problems],
            "can_run": not has_errors(problems),
        }
    )


def _show_conflict(
    request: HttpRequest, strategy: Strategy, conflict: VersionConflict, wants_json: bool
) -> HttpResponse:
    if wants_json:
        body = {"field": "based_on", "code": conflict.code, "message": str(conflict)}
        return JsonResponse(body, status=409)
    context = {
        "strategy": strategy,
        "conflict": conflict,
        "latest": conflict.latest,
        "form": SourceForm(initial={"source": conflict.source, "based_on": conflict.latest.number}),
        "diff": diff_lines(conflict.latest.source, conflict.source),
    }
    return render(request, "strategies/strategy_conflict.html", context, status=409)


def _first_error(form: SourceForm) -> dict[str, str]:
    field, errors = next(iter(form.errors.as_data().items()))
    message = " ".join(errors[0].messages)
    return {"field": "" if field == "__all__" else field, "code": str(errors[0].code or ""), "message": message}
