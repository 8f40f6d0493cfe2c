"""What touches more than the user's own row: tokens under a quota, use of the quotas."""

from dataclasses import dataclass
from datetime import timedelta

from accounts.models import ApiToken, User
from accounts.quotas import limits_of

MAX_TOKEN_DAYS = 366
DEFAULT_TOKEN_DAYS = 30


class TooManyTokens(Exception):
    """The user holds as many usable tokens as allowed."""


@dataclass(frozen=True, slots=True)
class QuotaUse:
    label: str
    used: int
    limit: int


def create_token(user: User, name: str, days: int = DEFAULT_TOKEN_DAYS) -> tuple[ApiToken, str]:
    """A new token and its text, which cannot be read again later. Raises TooManyTokens."""
    limit = limits_of(user).max_api_tokens
    if ApiToken.objects.visible_to(user).usable().count() >= limit:
        raise TooManyTokens(f"You have {limit} API tokens, the most one account may hold. Revoke one first.")
    row, token = ApiToken.objects.create(user, expiry=timedelta(days=days), name=name)
    return row, token


def list_quota_use(user: User) -> list[QuotaUse]:
    """How much of each limit is used. The apps above hang their rows on the user; nothing is imported from them."""
    limits = limits_of(user)
    runs = user.backtest_runs
    return [
        QuotaUse("Strategies", user.strategies.filter(archived_at__isnull=True).count(), limits.max_strategies),
        QuotaUse("Runs at the same time", runs.filter(status="running").count(), limits.max_concurrent_runs),
        QuotaUse("Runs waiting", runs.filter(status="queued").count(), limits.max_queued_runs),
        QuotaUse("API tokens", ApiToken.objects.visible_to(user).usable().count(), limits.max_api_tokens),
    ]
