"""The pages of strategies, without any script: each works, validates, and knows whose strategy it is."""

import re

import pytest
from django.urls import reverse

from strategies import services
from strategies.models import Strategy
from strategies.samples import EXAMPLES

FIRST = "class S(Strategy):\n    def initialize(self): ...\n    def on_data(self, data): ...\n"
SECOND = FIRST + "# second\n"


def text_of(response):
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def url(name, strategy, *args):
    return reverse(name, args=[strategy.pk, *args])


# --- The list --------------------------------------------------------------------------------------------------------


def test_the_list_shows_my_strategies_and_nobody_elses(owner_client, stranger_client, strategy):
    assert "Mine" in text_of(owner_client.get(reverse("strategy_list")))
    assert "Mine" not in text_of(stranger_client.get(reverse("strategy_list")))


def test_the_list_says_which_version_is_newest_and_whether_it_can_run(owner_client, strategy):
    page = text_of(owner_client.get(reverse("strategy_list")))
    assert re.search(r"Mine What it does 2 ready", page)
    services.save_version(strategy, "class S(Strategy): pass\n")
    assert re.search(r"Mine What it does 3 2 problems", text_of(owner_client.get(reverse("strategy_list"))))


def test_the_empty_list_offers_the_samples(owner_client):
    page = text_of(owner_client.get(reverse("strategy_list")))
    assert "No strategies yet" in page
    assert page.count("Copy and open") == len(EXAMPLES)


def test_a_list_of_many_costs_as_few_queries_as_a_list_of_one(
    owner, owner_client, strategy, django_assert_max_num_queries
):
    for i in range(8):
        services.create_strategy(owner, f"Number {i}", FIRST)
    with django_assert_max_num_queries(8):
        owner_client.get(reverse("strategy_list"))


def test_finding_by_name(owner, owner_client, strategy):
    services.create_strategy(owner, "Breakout", FIRST)
    page = text_of(owner_client.get(reverse("strategy_list"), {"q": "BREAK"}))
    assert "Breakout" in page
    assert "Mine" not in page
    assert "No strategy has “zzz”" in text_of(owner_client.get(reverse("strategy_list"), {"q": "zzz"}))


@pytest.mark.parametrize("page", ["", "x", "-1", "99"])
def test_a_page_number_that_makes_no_sense_shows_a_page(owner_client, strategy, page):
    assert owner_client.get(reverse("strategy_list"), {"page": page, "q": "\0"}).status_code == 200


# --- Making one ------------------------------------------------------------------------------------------------------


def test_a_new_strategy(owner, owner_client):
    assert owner_client.get(reverse("strategy_new")).status_code == 200
    answer = owner_client.post(reverse("strategy_new"), {"name": "Fresh", "source": FIRST})
    made = Strategy.objects.get(owner=owner)
    assert (answer.status_code, answer.url) == (302, url("strategy_edit", made))
    assert (made.name, made.latest_version.source) == ("Fresh", FIRST)


def test_a_new_strategy_can_go_straight_to_the_run_form(owner, owner_client):
    answer = owner_client.post(reverse("strategy_new"), {"name": "Fresh", "source": FIRST, "then": "run"})
    assert answer.url == f"{reverse('run_new')}?strategy={Strategy.objects.get(owner=owner).pk}"


def test_a_refused_new_strategy_keeps_what_was_typed(owner_client, strategy):
    answer = owner_client.post(reverse("strategy_new"), {"name": "Mine", "source": "x = 'my work'"})
    assert answer.status_code == 422
    assert "already have a strategy named" in text_of(answer)
    assert "my work" in text_of(answer)


def test_a_sample_is_copied_and_opened(owner, owner_client):
    answer = owner_client.post(reverse("example_copy", args=["sma_crossover"]))
    assert answer.url == url("strategy_edit", Strategy.objects.get(owner=owner, name="SMA crossover"))


def test_an_unknown_sample_or_a_full_quota_is_said_on_the_list(owner, owner_client):
    answer = owner_client.post(reverse("example_copy", args=["nope"]), follow=True)
    assert "There is no sample" in text_of(answer)
    owner.limit_overrides = {"max_strategies": 1}
    owner.save()
    owner_client.post(reverse("example_copy", args=["buy_and_hold"]))
    answer = owner_client.post(reverse("example_copy", args=["buy_and_hold"]), follow=True)
    assert "Archive one to make room" in text_of(answer)


# --- The editor ------------------------------------------------------------------------------------------------------


def test_the_editor_shows_the_newest_text_its_versions_and_the_run_link(owner_client, strategy):
    answer = owner_client.get(url("strategy_edit", strategy))
    page = answer.content.decode()
    assert "# second" in page
    assert url("strategy_version", strategy, 1) in page
    assert f"{reverse('run_new')}?strategy={strategy.pk}" in page
    assert 'name="based_on" value="2"' in page


def test_the_editor_carries_the_nonce_that_the_policy_names(owner_client, strategy):
    answer = owner_client.get(url("strategy_edit", strategy))
    nonce = re.search(r'data-csp-nonce="([^"]+)"', answer.content.decode())[1]
    assert f"'nonce-{nonce}'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", ["strategy_list", "strategy_new", "strategy_edit", "strategy_describe"])
def test_pages_carry_no_inline_script_style_or_handler(owner_client, strategy, name):
    address = url(name, strategy) if name in ("strategy_edit", "strategy_describe") else reverse(name)
    page = owner_client.get(address).content.decode()
    assert not re.search(r"<script(?![^>]*(src=|application/json))", page)
    assert not re.search(r"<style|\sstyle=|\son(click|change|input|submit|load)=", page)


def test_markup_in_a_source_or_name_stays_text(owner, owner_client):
    evil = "x = '</textarea></pre><script>alert(1)</script>'\n"
    made = services.create_strategy(owner, "<script>alert(2)</script>", evil, "<script>alert(3)</script>").strategy
    for address in (url("strategy_edit", made), url("strategy_version", made, 1), reverse("strategy_list")):
        assert "<script>alert" not in owner_client.get(address).content.decode()


def test_saving_makes_the_next_version(owner_client, strategy):
    answer = owner_client.post(
        url("strategy_save", strategy), {"source": FIRST.replace("\n", "\r\n") + "# third\r\n", "based_on": "2"}
    )
    assert (answer.status_code, answer.url) == (302, url("strategy_edit", strategy))
    assert (strategy.latest_version.number, strategy.latest_version.source) == (3, FIRST + "# third\n")


def test_a_text_that_starts_with_empty_lines_comes_back_as_it_is(owner_client, strategy):
    services.save_version(strategy, "\n\n" + FIRST)
    page = owner_client.get(url("strategy_edit", strategy)).content.decode()
    # A browser drops one line break after the opening tag.
    assert re.search(r"<textarea[^>]*>\r?\n\n\nclass S", page)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"source": ""}, "required"),
        ({"source": "x = 1\0"}, "Null characters"),
        ({"source": "#" * 200_001}, "a strategy may have 200,000"),
        ({"source": "# typed", "based_on": "soon"}, "whole number"),
        ({"source": "# typed", "based_on": str(10**30)}, "less than"),
    ],
)
def test_a_refused_save_says_why_and_keeps_the_text(owner_client, strategy, fields, words):
    answer = owner_client.post(url("strategy_save", strategy), fields)
    assert answer.status_code == 422
    assert words in text_of(answer)
    assert fields["source"][:200] in answer.content.decode()
    assert strategy.versions.count() == 2


def test_saving_over_a_newer_version_shows_both_texts_and_keeps_both(owner_client, strategy):
    answer = owner_client.post(url("strategy_save", strategy), {"source": "# mine\n", "based_on": "1"})
    page = text_of(answer)
    assert answer.status_code == 409
    assert "Version 2 was saved meanwhile" in page
    assert "# mine" in page
    assert "# second" in page
    assert strategy.versions.count() == 2
    assert 'name="based_on" value="2"' in answer.content.decode()
    assert owner_client.post(url("strategy_save", strategy), {"source": "# mine\n", "based_on": "2"}).status_code == 302
    assert strategy.latest_version.source == "# mine\n"


def test_the_script_saves_by_json(owner_client, strategy):
    def save(**fields):
        return owner_client.post(url("strategy_save", strategy), fields, headers={"Accept": "application/json"})

    answer = save(source="class S(Strategy): pass\n", based_on=2)
    body = answer.json()
    assert (answer.status_code, body["number"], body["can_run"]) == (200, 3, False)
    assert body["problems"][0]["code"] == "missing_method"
    assert "Version 3" in body["side"]
    answer = save(source="# other", based_on=2)
    assert (answer.status_code, answer.json()["code"]) == (409, "version_conflict")
    answer = save(source=" ")
    assert answer.status_code == 422
    assert answer.json() == {"field": "source", "code": "empty_source", "message": "There is no text to save."}


def test_the_check_answers_with_problems(owner_client):
    answer = owner_client.post(reverse("strategy_check"), {"source": "x = (\r\n"})
    (problem,) = answer.json()["problems"]
    assert (problem["line"], problem["column"], problem["severity"]) == (1, 5, "error")
    assert owner_client.post(reverse("strategy_check")).json()["problems"][0]["code"] == "no_strategy"


# --- Versions, description, archive ----------------------------------------------------------------------------------


def test_an_old_version_shows_its_text_and_what_changed_since(owner_client, strategy):
    page = text_of(owner_client.get(url("strategy_version", strategy, 1)))
    assert "newest is 2" in page
    assert "Changes from version 1 to 2" in page
    assert "Restore as version 3" in page
    assert "Changes from version 1 to 2" in text_of(owner_client.get(url("strategy_version", strategy, 2)))


@pytest.mark.parametrize("number", [0, 3, 10**30])
def test_a_version_that_is_not_there(owner_client, strategy, number):
    assert owner_client.get(url("strategy_version", strategy, number)).status_code == 404
    assert owner_client.post(url("version_restore", strategy, number)).status_code == 404


def test_restoring_saves_the_old_text_as_a_new_version(owner_client, strategy):
    answer = owner_client.post(url("version_restore", strategy, 1), follow=True)
    assert "The text of version 1 is now version 3" in text_of(answer)
    assert (strategy.latest_version.number, strategy.latest_version.source) == (3, FIRST)


def test_another_name_and_description(owner, owner_client, strategy):
    address = url("strategy_describe", strategy)
    assert "What it does" in text_of(owner_client.get(address))
    assert owner_client.post(address, {"name": "Better", "description": ""}).status_code == 302
    strategy.refresh_from_db()
    assert (strategy.name, strategy.description) == ("Better", "")
    services.create_strategy(owner, "Taken", FIRST)
    answer = owner_client.post(address, {"name": "Taken", "description": "long thoughts"})
    assert answer.status_code == 422
    assert "already have a strategy named" in text_of(answer)
    assert "long thoughts" in text_of(answer)


def test_archive_and_back(owner_client, strategy):
    assert "Mine is archived" in text_of(owner_client.post(url("strategy_archive", strategy), follow=True))
    assert "Mine" in text_of(owner_client.get(reverse("strategy_list"), {"archived": ""}))
    page = text_of(owner_client.get(url("strategy_edit", strategy)))
    assert "Restore it to change or run it" in page
    answer = owner_client.post(url("strategy_save", strategy), {"source": "# late", "based_on": "2"})
    assert (answer.status_code, "This strategy is archived" in text_of(answer)) == (422, True)
    assert "Mine is back" in text_of(owner_client.post(url("strategy_restore", strategy), follow=True))


# --- Who and how -----------------------------------------------------------------------------------------------------

PAGES = [("strategy_edit", []), ("strategy_describe", []), ("strategy_version", [1])]
ACTIONS = [
    ("strategy_save", []),
    ("strategy_describe", []),
    ("strategy_archive", []),
    ("strategy_restore", []),
    ("version_restore", [1]),
]


@pytest.mark.parametrize(("name", "args"), PAGES)
def test_a_strangers_page_is_not_there(stranger_client, staff_client, anonymous, strategy, name, args):
    address = url(name, strategy, *args)
    assert stranger_client.get(address).status_code == 404
    assert staff_client.get(address).status_code == 404
    assert anonymous.get(address).url.startswith(reverse("account_login"))


@pytest.mark.parametrize(("name", "args"), ACTIONS)
def test_a_stranger_changes_nothing(stranger_client, anonymous, strategy, name, args):
    before = (Strategy.objects.values().get(), strategy.versions.count())
    fields = {"source": "# stolen", "name": "Stolen"}
    assert stranger_client.post(url(name, strategy, *args), fields).status_code == 404
    assert anonymous.post(url(name, strategy, *args), fields).status_code == 302
    assert (Strategy.objects.values().get(), strategy.versions.count()) == before


@pytest.mark.parametrize("name", ["strategy_list", "strategy_new", "strategy_check"])
def test_pages_need_signing_in(anonymous, name):
    assert anonymous.post(reverse(name)).url.startswith(reverse("account_login"))


@pytest.mark.parametrize(
    ("name", "args"),
    [("strategy_save", []), ("strategy_archive", []), ("strategy_restore", []), ("version_restore", [1])],
)
def test_actions_do_not_happen_by_following_a_link(owner_client, strategy, name, args):
    assert owner_client.get(url(name, strategy, *args)).status_code == 405


@pytest.mark.parametrize(("name", "args"), [("strategy_edit", []), ("strategy_version", [1])])
def test_pages_are_only_read(owner_client, strategy, name, args):
    assert owner_client.post(url(name, strategy, *args)).status_code == 405


def test_forms_need_their_token(owner, strategy):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    assert client.post(url("strategy_save", strategy), {"source": "# forged"}).status_code == 403


# --- Admin -----------------------------------------------------------------------------------------------------------


def test_staff_can_see_strategies_and_versions_but_not_change_a_version(staff_client, strategy):
    version = strategy.latest_version
    for address in (
        reverse("admin:strategies_strategy_changelist"),
        reverse("admin:strategies_strategy_change", args=[strategy.pk]),
        reverse("admin:strategies_strategyversion_changelist"),
        reverse("admin:strategies_strategyversion_change", args=[version.pk]),
    ):
        assert staff_client.get(address).status_code == 200
    change = reverse("admin:strategies_strategyversion_change", args=[version.pk])
    assert staff_client.post(change, {"source": "# changed"}).status_code == 403
    assert staff_client.get(reverse("admin:strategies_strategyversion_add")).status_code == 403
