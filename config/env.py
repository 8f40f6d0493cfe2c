"""Strict readers of environment variables: a value that makes no sense stops the start with one clear sentence."""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"0", "false", "no", "off", ""}


def read_text(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def read_bool(name: str, default: bool) -> bool:
    word = os.environ.get(name)
    if word is None:
        return default
    if word.strip().lower() not in TRUE_WORDS | FALSE_WORDS:
        raise ImproperlyConfigured(f"{name}={word!r} is not a yes or no. Use 1 or 0.")
    return word.strip().lower() in TRUE_WORDS


def read_int(name: str, default: int, *, at_least: int, at_most: int) -> int:
    word = os.environ.get(name, "").strip()
    if not word:
        return default
    try:
        number = int(word)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={word!r} is not a whole number.") from None
    if not at_least <= number <= at_most:
        raise ImproperlyConfigured(f"{name}={number} must lie between {at_least} and {at_most}.")
    return number


def read_list(name: str, default: list[str]) -> list[str]:
    word = os.environ.get(name)
    return default if word is None else [part.strip() for part in word.split(",") if part.strip()]


def read_choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    word = read_text(name, default).lower()
    if word not in choices:
        raise ImproperlyConfigured(f"{name}={word!r} is not one of {', '.join(choices)}.")
    return word


def open_folder(name: str, default: Path) -> Path:
    """The folder a variable names; made when missing, refused when nothing can be written there."""
    word = os.environ.get(name, "").strip()
    folder = (Path(word).expanduser() if word else default).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"{name}={folder} is no folder and cannot be made: {error.strerror}.") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ImproperlyConfigured(f"{name}={folder} cannot be written by this user.")
    return folder
