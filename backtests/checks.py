"""What `manage.py check --deploy` says about the jail of this machine."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, register

from backtests.runner.jail.layers import find_lack


@register(deploy=True)
def check_jail(**_: Any) -> list[CheckMessage]:
    """An error where strategies cannot run at all, a note where only the inner layer holds them."""
    if settings.JAIL == "none":
        return [Error("Strategies run without a jail.", hint="Take HINDSIGHT_JAIL=none away.", id="backtests.E002")]
    if lack := find_lack("inner"):
        return [Error(f"This machine runs no strategies. {lack}", id="backtests.E001")]
    if lack := find_lack("full"):
        hint = "The inner layer hides the content of files, not that they are there: give the worker a container."
        return [Info(f"Strategies are held by the inner layer alone. {lack}", hint=hint, id="backtests.I001")]
    return []
