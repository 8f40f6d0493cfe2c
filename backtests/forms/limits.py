"""Limits that one run asks for, below those of the user's plan: a folded part of the run form."""

from collections.abc import Mapping
from typing import Any

from django import forms

from accounts.models import User
from accounts.quotas import limits_of
from backtests.presentation import limits as words

LIMIT = "limits_"  # before the name of a limit: its field


class LimitField(forms.CharField):
    """Empty: the plan's. `unit` stands behind the field."""

    def __init__(self, label: str, unit: str, allowed: int) -> None:
        widget = forms.TextInput(attrs={"inputmode": "numeric", "placeholder": str(allowed)})
        super().__init__(label=label, required=False, widget=widget, help_text=f"At most {allowed:,}.")
        self.unit = unit


def limit_fields(user: User) -> dict[str, forms.Field]:
    plan = limits_of(user)
    return {
        f"{LIMIT}{name}": LimitField(label, unit, plan.allowed(name))
        for name, (label, unit) in words.LIMIT_NAMES.items()
    }


def read_limits(raw: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The submitted fields without those of limits, and the limits by their names; empty ones are not asked for."""
    limits = {name.removeprefix(LIMIT): value for name, value in raw.items() if name.startswith(LIMIT) and value != ""}
    return {name: value for name, value in raw.items() if not name.startswith(LIMIT)}, limits


def say_limits(shown: Mapping[str, str]) -> str:
    """What is asked for in one line, as far as it is a number."""
    asked = {name: int(text) for name, text in shown.items() if text.isdecimal() and len(text) < 16}
    return words.say_limits(asked) or "those of your plan"
