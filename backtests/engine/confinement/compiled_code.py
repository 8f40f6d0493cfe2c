"""Compiled code is read from numba's cache, never written: what a run may write, the next user would execute."""

import inspect
from typing import Any, Self

import numba
from numba.core import caching


def freeze_compiled_code() -> None:
    """Before anything with cached functions is imported: numba asks whether it may write, and raises if not."""

    def keep_nothing(self: Any, sig: Any, data: Any) -> None:
        pass

    def trust(self: Any) -> None:
        pass

    caching.Cache.save_overload = keep_nothing
    caching._CacheLocator.ensure_cache_path = trust


def accept_uncached_functions() -> None:
    """After our own imports: a strategy's `@njit(cache=True)` compiles like any other, instead of raising."""
    numba.config.CACHE_LOCATOR_CLASSES += f",{__name__}.NoCacheLocator"


class NoCacheLocator:
    """For functions that lie in no file: they are compiled in every run."""

    def __init__(self, py_func: Any) -> None:
        self._line = py_func.__code__.co_firstlineno

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Self | None:
        return cls(py_func) if inspect.isfunction(py_func) else None

    def get_cache_path(self) -> str:
        return "/nonexistent"

    def get_source_stamp(self) -> str:
        return "none"

    def get_disambiguator(self) -> str:
        return str(self._line)
