"""Param: a strategy's tunable number, declared as a class attribute, an ordinary value while it runs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from backtests.engine.errors import RequestError
from backtests.engine.request import ParamValue


class Param:
    """`fast = Param(20, min=5, max=100, step=5)`: a default, its bounds, and the step or choices for optimisation."""

    def __init__(
        self,
        default: ParamValue,
        *,
        min: float | None = None,
        max: float | None = None,
        step: float | None = None,
        choices: Sequence[ParamValue] | None = None,
    ) -> None:
        self.default = default
        self.min = min
        self.max = max
        self.step = step
        self.choices = None if choices is None else tuple(choices)

    def resolve(self, name: str, value: Any) -> ParamValue:
        """The value as the type of the default. Raises RequestError("params", ...) with the bounds it breaks."""
        result = self._convert(name, value)
        if self.choices is not None and result not in self.choices:
            options = ", ".join(str(choice) for choice in self.choices)
            raise RequestError("params", "unknown_choice", f"{name} must be one of: {options}.")
        if isinstance(result, str | bool):
            return result
        if (self.min is not None and result < self.min) or (self.max is not None and result > self.max):
            low = "" if self.min is None else f" at least {self.min:g}"
            high = "" if self.max is None else f" at most {self.max:g}"
            raise RequestError(
                "params",
                "out_of_range",
                f"{name} = {result:g} must be{low}{' and' if low and high else ''}{high}.",
            )
        return result

    def _convert(self, name: str, value: Any) -> ParamValue:
        kind = type(self.default)
        if kind in (bool, str):
            if not isinstance(value, kind):
                raise RequestError("params", "wrong_type", f"{name} = {value!r} must be a {kind.__name__}.")
            return value
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value):
            raise RequestError("params", "not_a_number", f"{name} = {value!r} must be a number.")
        if kind is float:
            return float(value)
        if value != int(value):
            raise RequestError("params", "not_whole", f"{name} = {value:g} must be a whole number.")
        return int(value)


def find_params(strategy_class: type) -> dict[str, Param]:
    """The Params of a class and of what it inherits from, by name; the nearest declaration counts."""
    found: dict[str, Param] = {}
    for owner in reversed(strategy_class.__mro__):
        for name, value in vars(owner).items():
            if isinstance(value, Param):
                found[name] = value
            else:
                found.pop(name, None)
    return found


def resolve_params(params: Mapping[str, Param], given: Mapping[str, Any]) -> dict[str, ParamValue]:
    """A value for every parameter. Raises RequestError("params", ...) for an unknown name or a value out of bounds."""
    for name in given:
        if name not in params:
            has = f"It has: {', '.join(params)}." if params else "It has none."
            raise RequestError("params", "unknown_param", f"The strategy has no parameter {name!r}. {has}")
    return {name: param.resolve(name, given.get(name, param.default)) for name, param in params.items()}
