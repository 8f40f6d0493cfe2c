"""What can be done with strategies: everything that touches both a strategy and its versions, or a quota."""

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.quotas import limits_of
from strategies.models import Strategy, StrategyVersion
from strategies.params import read_param_schema
from strategies.samples import EXAMPLES, EXAMPLES_BY_SLUG, Example
from strategies.source_tree import UnreadableSource, decode_source

__all__ = [
    "EXAMPLES",
    "Example",
    "StrategyError",
    "VersionConflict",
    "archive_strategy",
    "copy_example",
    "create_strategy",
    "describe_strategy",
    "restore_strategy",
    "save_version",
]

NAME_LENGTH = 120
DESCRIPTION_LENGTH = 2000


class StrategyError(Exception):
    """Something that cannot be done: which field, a stable code, and what to do about it."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.code = code
        self.message = message


class VersionConflict(Exception):
    """Somebody saved a newer version since `base_number` was opened; nothing was overwritten, nothing was saved."""

    code = "version_conflict"

    def __init__(self, base_number: int, latest: StrategyVersion, source: str) -> None:
        super().__init__(f"Version {latest.number} was saved after version {base_number}, which this text is based on.")
        self.base_number = base_number
        self.latest = latest
        self.source = source

    @property
    def base(self) -> StrategyVersion | None:
        return self.latest.strategy.versions.filter(number=self.base_number).first()


@transaction.atomic
def create_strategy(user: User, name: str, source: str, description: str = "") -> StrategyVersion:
    """A new strategy with its first version. Raises StrategyError: name, description, source or quota."""
    User.objects.select_for_update().get(pk=user.pk)  # two requests at once must not both take the last place
    limit = limits_of(user).max_strategies
    if Strategy.objects.visible_to(user).active().count() >= limit:
        raise StrategyError("", "too_many_strategies", f"You have {limit} strategies. Archive one to make room.")
    strategy = Strategy(owner=user, name=_clean_name(user, name), description=_clean_description(description))
    strategy.save(force_insert=True)
    return _add_version(strategy, 1, source)


@transaction.atomic
def save_version(strategy: Strategy, source: str, *, based_on: int | None = None) -> StrategyVersion:
    """The text as the next version; the same text as the latest gives the latest.

    `based_on` is the number of the version that was edited. Raises VersionConflict when a newer one exists by now,
    StrategyError for a text that cannot be stored (too long, NUL, not UTF-8) or an archived strategy. A text with
    mistakes can be saved.
    """
    strategy = Strategy.objects.select_for_update().get(pk=strategy.pk)
    if strategy.archived_at is not None:
        raise StrategyError("", "archived", "This strategy is archived. Restore it before saving.")
    latest = strategy.latest_version
    text = normalise_source(source)
    if latest is not None and latest.source == text:
        return latest
    if latest is not None and based_on is not None and based_on < latest.number:
        raise VersionConflict(based_on, latest, text)
    version = _add_version(strategy, (latest.number if latest else 0) + 1, text)
    strategy.save(update_fields=["changed_at"])
    return version


def copy_example(user: User, slug: str) -> StrategyVersion:
    """The sample as a strategy of the user's own, under a free name. Raises StrategyError: unknown_example, quota."""
    example = EXAMPLES_BY_SLUG.get(slug)
    if example is None:
        known = ", ".join(EXAMPLES_BY_SLUG)
        raise StrategyError("slug", "unknown_example", f"There is no sample {slug!r}. There are: {known}.")
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        name = find_free_name(user, example.title)
        return create_strategy(user, name, example.source, example.description)


@transaction.atomic
def describe_strategy(strategy: Strategy, *, name: str | None = None, description: str | None = None) -> Strategy:
    """Give another name, another description, or both. Raises StrategyError."""
    strategy = Strategy.objects.select_for_update().select_related("owner").get(pk=strategy.pk)
    if name is not None:
        strategy.name = _clean_name(strategy.owner, name, strategy)
    if description is not None:
        strategy.description = _clean_description(description)
    strategy.save(update_fields=["name", "description", "changed_at"])
    return strategy


def archive_strategy(strategy: Strategy) -> None:
    """Take it out of the lists. Its versions and the runs that used them stay."""
    Strategy.objects.filter(pk=strategy.pk, archived_at__isnull=True).update(archived_at=timezone.now())


@transaction.atomic
def restore_strategy(strategy: Strategy) -> Strategy:
    """Undo archiving; under a free name when its own was taken meanwhile. Raises StrategyError: quota."""
    owner = User.objects.select_for_update().get(pk=strategy.owner_id)
    strategy = Strategy.objects.select_for_update().get(pk=strategy.pk)
    if strategy.archived_at is None:
        return strategy
    limit = limits_of(owner).max_strategies
    if Strategy.objects.visible_to(owner).active().count() >= limit:
        raise StrategyError("", "too_many_strategies", f"You have {limit} strategies. Archive one to make room.")
    strategy.name = find_free_name(owner, strategy.name)
    strategy.archived_at = None
    strategy.save(update_fields=["name", "archived_at", "changed_at"])
    return strategy


def find_free_name(user: User, wanted: str) -> str:
    """`wanted`, or `wanted 2`, `wanted 3` ... when active strategies of the user have it already."""
    taken = set(Strategy.objects.visible_to(user).active().values_list("name", flat=True))
    name, n = wanted, 1
    while name in taken:
        n += 1
        name = f"{wanted[: NAME_LENGTH - 8]} {n}"
    return name


def normalise_source(source: str) -> str:
    """Browsers send CRLF and some editors a byte order mark; one text must have one hash."""
    return source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _add_version(strategy: Strategy, number: int, source: str) -> StrategyVersion:
    text = normalise_source(source)
    if not text.strip():
        raise StrategyError("source", "empty_source", "There is no text to save.")
    try:
        decode_source(text, limits_of(strategy.owner).max_source_bytes)
    except UnreadableSource as error:
        raise StrategyError("source", error.code, error.message) from None
    version = StrategyVersion(strategy=strategy, number=number, source=text, param_schema=read_param_schema(text))
    version.save(force_insert=True)
    return version


def _clean_name(user: User, name: str, strategy: Strategy | None = None) -> str:
    cleaned = " ".join(name.split())
    if not cleaned:
        raise StrategyError("name", "missing", "Give the strategy a name.")
    if len(cleaned) > NAME_LENGTH or not cleaned.isprintable():
        raise StrategyError("name", "bad_name", f"A name is one line of at most {NAME_LENGTH} characters.")
    others = Strategy.objects.visible_to(user).active().filter(name=cleaned)
    if strategy is not None:
        others = others.exclude(pk=strategy.pk)
    if (strategy is None or strategy.archived_at is None) and others.exists():
        raise StrategyError("name", "name_taken", f"You already have a strategy named {cleaned!r}.")
    return cleaned


def _clean_description(description: str) -> str:
    cleaned = normalise_source(description).strip()
    is_text = not any("\ud800" <= letter <= "\udfff" for letter in cleaned)
    if len(cleaned) > DESCRIPTION_LENGTH or "\0" in cleaned or not is_text:
        text = f"A description is a text of at most {DESCRIPTION_LENGTH} characters."
        raise StrategyError("description", "bad_description", text)
    return cleaned
