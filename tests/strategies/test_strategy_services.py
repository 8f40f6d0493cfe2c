"""Versions never change, nothing is lost, names and quotas hold."""

import subprocess
import sys

import pytest
from django.db import IntegrityError, transaction

from strategies import services
from strategies.models import Strategy, hash_source
from strategies.services import EXAMPLES, StrategyError, VersionConflict

SOURCE = "class S(Strategy):\n    x = Param(3)\n"


@pytest.fixture
def version(owner):
    return services.create_strategy(owner, "Mine", SOURCE)


def refused(code, function, *args, **kwargs):
    with pytest.raises(StrategyError) as caught:
        function(*args, **kwargs)
    assert caught.value.code == code
    return caught.value


def test_a_new_strategy_has_its_first_version(owner):
    version = services.create_strategy(owner, "  My   trend ", SOURCE, " about it\r\n")
    assert (version.number, version.source, version.sha256) == (1, SOURCE, hash_source(SOURCE))
    assert [spec["name"] for spec in version.param_schema] == ["x"]
    assert (version.strategy.name, version.strategy.description) == ("My trend", "about it")
    assert version.strategy.owner == owner


def test_each_save_is_the_next_version(version):
    second = services.save_version(version.strategy, SOURCE + "# more\n", based_on=1)
    third = services.save_version(version.strategy, SOURCE, based_on=2)
    assert [row.number for row in version.strategy.versions.order_by("number")] == [1, 2, 3]
    assert (second.number, third.number, third.source) == (2, 3, SOURCE)


def test_saving_the_same_text_again_changes_nothing(version):
    again = services.save_version(version.strategy, SOURCE.replace("\n", "\r\n"), based_on=1)
    assert again == version
    assert version.strategy.versions.count() == 1


def test_a_save_moves_the_strategy_to_the_top_of_the_list(owner, version):
    services.create_strategy(owner, "Later", SOURCE)
    services.save_version(version.strategy, SOURCE + "#\n")
    assert Strategy.objects.visible_to(owner).first() == version.strategy


def test_a_save_on_an_old_version_is_a_conflict_that_carries_both_texts(version):
    services.save_version(version.strategy, "# theirs\n", based_on=1)
    with pytest.raises(VersionConflict) as caught:
        services.save_version(version.strategy, "# mine\n", based_on=1)
    assert (caught.value.latest.source, caught.value.source, caught.value.base) == ("# theirs\n", "# mine\n", version)
    assert version.strategy.versions.count() == 2


def test_the_same_text_saved_twice_in_parallel_is_no_conflict(version):
    theirs = services.save_version(version.strategy, "# same\n", based_on=1)
    assert services.save_version(version.strategy, "# same\n", based_on=1) == theirs


def test_a_version_never_changes(version):
    version.source = "# other"
    with pytest.raises(TypeError, match="never changes"):
        version.save()


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("", "empty_source"),
        (" \n", "empty_source"),
        ("x = 1\0", "null_character"),
        ("x = '\ud800'", "not_utf8"),
        ("#" * 200_001, "source_too_long"),
    ],
)
def test_a_text_that_cannot_be_stored_is_refused(owner, version, source, code):
    assert refused(code, services.save_version, version.strategy, source).field == "source"
    assert refused(code, services.create_strategy, owner, "Other", source).field == "source"
    assert Strategy.objects.count() == 1


def test_a_text_with_mistakes_can_be_saved(version):
    assert services.save_version(version.strategy, "def half(:").number == 2


def test_the_length_of_a_source_is_a_quota(owner, version):
    owner.limit_overrides = {"max_source_bytes": 50}
    owner.save()
    refused("source_too_long", services.save_version, version.strategy, "#" * 51)
    assert services.save_version(version.strategy, "#" * 50).number == 2


@pytest.mark.parametrize(
    ("name", "code"),
    [("", "missing"), ("  \n", "missing"), ("x" * 121, "bad_name"), ("a\x07b", "bad_name"), ("Mine", "name_taken")],
)
def test_names(owner, version, name, code):
    assert refused(code, services.create_strategy, owner, name, SOURCE).field == "name"


def test_two_people_may_use_one_name(stranger, version):
    assert services.create_strategy(stranger, "Mine", SOURCE).strategy.name == "Mine"


def test_the_database_refuses_a_name_twice_too(owner, version):
    with pytest.raises(IntegrityError), transaction.atomic():
        Strategy.objects.create(owner=owner, name="Mine")


def test_the_number_of_strategies_is_a_quota(owner, version):
    owner.limit_overrides = {"max_strategies": 1}
    owner.save()
    refused("too_many_strategies", services.create_strategy, owner, "Second", SOURCE)
    services.archive_strategy(version.strategy)
    assert services.create_strategy(owner, "Second", SOURCE)
    refused("too_many_strategies", services.restore_strategy, version.strategy)


@pytest.mark.parametrize("slug", [example.slug for example in EXAMPLES])
def test_samples_can_be_copied_again_and_again(owner, slug):
    first, second = services.copy_example(owner, slug), services.copy_example(owner, slug)
    assert first.source == second.source == services.EXAMPLES_BY_SLUG[slug].source
    assert second.strategy.name == f"{first.strategy.name} 2"
    assert first.strategy.description
    assert first.param_schema


def test_an_unknown_sample_is_refused_and_the_known_are_named(owner):
    assert "sma_crossover" in refused("unknown_example", services.copy_example, owner, "secret").message


def test_archiving_keeps_everything_and_frees_the_name(owner, version):
    services.archive_strategy(version.strategy)
    assert list(Strategy.objects.visible_to(owner).active()) == []
    assert version.strategy.versions.count() == 1
    refused("archived", services.save_version, version.strategy, "# new")
    services.create_strategy(owner, "Mine", SOURCE)
    restored = services.restore_strategy(version.strategy)
    assert (restored.name, restored.archived_at) == ("Mine 2", None)
    assert services.restore_strategy(restored).name == "Mine 2"


def test_archiving_twice_keeps_the_first_date(version):
    services.archive_strategy(version.strategy)
    version.strategy.refresh_from_db()
    first = version.strategy.archived_at
    services.archive_strategy(version.strategy)
    version.strategy.refresh_from_db()
    assert version.strategy.archived_at == first


def test_describing_changes_only_what_is_given(owner, version):
    services.describe_strategy(version.strategy, description="New words")
    services.describe_strategy(version.strategy, name="Mine")
    strategy = services.describe_strategy(version.strategy, name="Another")
    assert (strategy.name, strategy.description) == ("Another", "New words")
    services.create_strategy(owner, "Mine", SOURCE)
    refused("name_taken", services.describe_strategy, strategy, name="Mine")
    refused("bad_description", services.describe_strategy, strategy, description="x" * 2001)
    refused("bad_description", services.describe_strategy, strategy, description="\ud800")


def test_titles_and_descriptions_of_samples_come_from_their_docstrings():
    assert [example.title for example in EXAMPLES] == [
        "Buy and hold",
        "SMA crossover",
        "RSI mean reversion",
        "Breakout with a plan",
        "Patient maker",
        "Leveraged momentum",
        "Trend as an array",
    ]
    assert all(len(example.description) > 40 for example in EXAMPLES)


def test_checks_and_parameters_need_no_django():
    code = (
        "import sys, strategies.source_checks, strategies.params, strategies.samples, strategies.api_reference,"
        " strategies.diffs; assert not any(name.partition('.')[0] == 'django' for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
