"""The parameters that a strategy declares: read from its source without running it, and filled in for a run."""

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from strategies.source_tree import (
    UnreadableSource,
    base_name,
    find_ancestors,
    find_leaves,
    find_strategy_classes,
    parse_source,
)

type ParamValue = float | int | bool | str
type ParamType = Literal["int", "float", "bool", "str"]

MAX_TEXT = 200
MAX_WARMUP_BARS = 100_000
MAX_WHOLE = 2**53  # beyond this JSON readers and floats disagree
_KEYWORDS = ("default", "min", "max", "step", "choices")
_KINDS: dict[type, ParamType] = {bool: "bool", int: "int", float: "float", str: "str"}
_NUMBERS = {"int", "float"}
_TRUE, _FALSE = {"true", "on", "yes", "1"}, {"false", "off", "no", "0"}


class ParamSpec(TypedDict):
    """One declared parameter, as stored with a version. `min`, `max`, `step` are None where not given."""

    name: str
    type: ParamType
    default: ParamValue
    min: float | int | None
    max: float | int | None
    step: float | int | None
    choices: list[ParamValue] | None


class ParamError(Exception):
    """A value that a parameter cannot take: which one, a stable code, and what it takes."""

    def __init__(self, name: str, code: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class ParamFault:
    """A Param(...) that cannot be read, where it stands."""

    node: ast.expr
    message: str


def read_param_schema(source: str | bytes) -> list[ParamSpec]:
    """The readable parameters in the order of the source; empty for a text that is no strategy. Never raises."""
    try:
        tree = parse_source(source)
    except UnreadableSource:
        return []
    leaves = find_leaves(find_strategy_classes(tree))
    return read_class_params(find_ancestors(leaves[0], tree))[0] if leaves else []


def read_warmup_bars(source: str | bytes) -> int:
    """The class attribute `warmup_bars` where it is a plain whole number in range, else 0. Never raises."""
    try:
        tree = parse_source(source)
    except UnreadableSource:
        return 0
    leaves = find_leaves(find_strategy_classes(tree))
    for node in find_ancestors(leaves[0], tree) if leaves else []:
        for name, value in map(_assignment, node.body):
            if name == "warmup_bars" and isinstance(value, ast.Constant) and type(value.value) is int:
                return value.value if 0 <= value.value <= MAX_WARMUP_BARS else 0
    return 0


def read_class_params(classes: Sequence[ast.ClassDef]) -> tuple[list[ParamSpec], list[ParamFault]]:
    """What a class and its ancestors (nearest first) declare with Param(...), and which declarations make no sense."""
    specs: dict[str, ParamSpec] = {}
    faults = []
    for statement in (statement for node in reversed(classes) for statement in node.body):
        name, value = _assignment(statement)
        if name and isinstance(value, ast.Call) and base_name(value.func) == "Param":
            try:
                specs[name] = _read_param(name, value)
            except _Fault as fault:
                faults.append(ParamFault(fault.node, str(fault)))
        elif name:
            specs.pop(name, None)
    return list(specs.values()), faults


def resolve_params(schema: Sequence[ParamSpec], given: Mapping[str, Any]) -> dict[str, ParamValue]:
    """A value for every parameter: the given one (text from a form counts), else the default.

    Raises ParamError for an unknown name and for a value of the wrong kind or outside its bounds.
    """
    known = {spec["name"]: spec for spec in schema}
    for name in given:
        if name not in known:
            has = f"It has: {', '.join(known)}." if known else "It has none."
            raise ParamError(str(name), "unknown_param", f"The strategy has no parameter {str(name)!r}. {has}")
    return {
        name: spec["default"] if given.get(name) in (None, "") else _resolve(spec, given[name])
        for name, spec in known.items()
    }


def _resolve(spec: ParamSpec, value: Any) -> ParamValue:
    result = _convert(spec, value)
    choices, low, high = spec["choices"], spec["min"], spec["max"]
    if choices is not None and result not in choices:
        options = ", ".join(str(choice) for choice in choices)
        raise ParamError(spec["name"], "unknown_choice", f"{spec['name']} must be one of: {options}.")
    if isinstance(result, str | bool):
        return result
    if (low is not None and result < low) or (high is not None and result > high):
        raise ParamError(spec["name"], "out_of_range", f"{spec['name']} = {result:g} must be {_bounds(low, high)}.")
    return result


def _bounds(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"


def _convert(spec: ParamSpec, value: Any) -> ParamValue:
    name, kind = spec["name"], spec["type"]
    shown = repr(value)[:60]
    if kind == "str":
        if not isinstance(value, str) or not _is_storable(value):
            raise ParamError(name, "not_text", f"{name} must be a text of at most {MAX_TEXT} characters.")
        return value
    if kind == "bool":
        word = value.strip().lower() if isinstance(value, str) else value
        if word is True or word is False:
            return bool(word)
        if isinstance(word, str) and word in _TRUE | _FALSE:
            return word in _TRUE
        raise ParamError(name, "not_yes_or_no", f"{name} must be true or false, not {shown}.")
    try:
        if isinstance(value, bool):
            raise TypeError
        number = value if isinstance(value, int) else float(value)
        is_finite = math.isfinite(number)
    except (TypeError, ValueError, OverflowError):
        raise ParamError(name, "not_a_number", f"{name} must be a number, not {shown}.") from None
    if not is_finite or abs(number) > MAX_WHOLE:
        raise ParamError(name, "not_a_number", f"{name} must be an ordinary number, not {shown}.")
    if kind == "float":
        return float(number)
    if number != int(number):
        raise ParamError(name, "not_whole", f"{name} must be a whole number, not {shown}.")
    return int(number)


class _Fault(Exception):
    def __init__(self, node: ast.expr, message: str) -> None:
        super().__init__(message)
        self.node = node


def _assignment(statement: ast.stmt) -> tuple[str, ast.expr | None]:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target: ast.expr = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign):
        target = statement.target
    else:
        return "", None
    return (target.id if isinstance(target, ast.Name) else ""), statement.value


def _read_param(name: str, call: ast.Call) -> ParamSpec:
    given: dict[str, ast.expr] = dict(zip(_KEYWORDS[:1], call.args, strict=False))
    if len(call.args) > 1:
        raise _Fault(call.args[1], f"{name}: only the default stands alone; write min=, max=, step= or choices=.")
    for keyword in call.keywords:
        if keyword.arg not in _KEYWORDS:
            raise _Fault(keyword.value, f"{name}: Param has no {keyword.arg or '**'}; it takes {', '.join(_KEYWORDS)}.")
        given[keyword.arg] = keyword.value
    if "default" not in given:
        raise _Fault(call, f"{name}: Param needs a default, for example Param(20, min=5, max=100).")
    values = {key: _literal(name, node) for key, node in given.items()}
    if _kind_of(values["default"]) is None:
        raise _Fault(given["default"], f"{name}: the default must be a number, a text, True or False.")
    return _check_spec(name, call, given, values)


def _literal(name: str, node: ast.expr) -> Any:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise _Fault(node, f"{name}: write plain values in Param(...), so that the form can show them.") from None
    for part in value if isinstance(value, list | tuple) else [value]:
        if isinstance(part, int | float) and not (math.isfinite(part) and abs(part) <= MAX_WHOLE):
            raise _Fault(node, f"{name}: a value in Param(...) is too large.")
        if isinstance(part, str) and not _is_storable(part):
            raise _Fault(node, f"{name}: a text in Param(...) may have {MAX_TEXT} characters, no NUL among them.")
    return value


def _check_spec(name: str, call: ast.Call, given: Mapping[str, ast.expr], values: Mapping[str, Any]) -> ParamSpec:
    default, choices = values["default"], values.get("choices")
    bounds = {key: values.get(key) for key in ("min", "max", "step")}
    if choices is not None and (not isinstance(choices, list | tuple) or not choices):
        raise _Fault(given["choices"], f"{name}: choices must be a list with at least one value.")
    for key, bound in bounds.items():
        if bound is not None and (isinstance(default, bool | str) or not _is_number(bound)):
            raise _Fault(given[key], f"{name}: {key} must be a number, and only numbers have one.")
    low, high, step = bounds["min"], bounds["max"], bounds["step"]
    kind = _kind_of(default)
    if kind == "int" and any(isinstance(value, float) and value % 1 for value in (step, *(choices or ()))):
        raise _Fault(given["default"], f"{name}: for values between whole numbers write the default as {default}.0.")
    if choices and not all(_kind_of(choice) == kind or {kind, _kind_of(choice)} <= _NUMBERS for choice in choices):
        raise _Fault(given["choices"], f"{name}: the choices must be of the default's kind.")
    if low is not None and high is not None and low > high:
        raise _Fault(given["min"], f"{name}: min {low:g} is above max {high:g}.")
    if step is not None and not step > 0:
        raise _Fault(given["step"], f"{name}: step must be above zero.")
    options = list(choices) if choices else None
    assert kind is not None
    spec = ParamSpec(name=name, type=kind, default=default, min=low, max=high, step=step, choices=options)
    try:
        spec["default"] = _resolve(spec, default)
    except ParamError as error:
        raise _Fault(given["default"], f"The default does not fit: {error.message}") from None
    return spec


def _is_storable(text: str) -> bool:
    """Short, and a text for the database and for a page, too: no NUL, no half of a surrogate pair."""
    return len(text) <= MAX_TEXT and "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind_of(value: Any) -> ParamType | None:
    """The kind of a plain value; a parameter has the kind of its default, here as when it runs."""
    return _KINDS.get(type(value))
