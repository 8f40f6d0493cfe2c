"""Checks of what a strategy reads and calls on `self` and on the bar that on_data gets."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from strategies import api_reference
from strategies.problems import Finding, suggest

type Method = ast.FunctionDef | ast.AsyncFunctionDef

_OBJECT_NAMES = frozenset(dir(object)) | {"__dict__", "__module__", "__annotations__"}
_NOT_FIELDS = {"symbol", "to_series", "to_frame", "of", "indicator", "first_bar"}  # attributes, but no columns
_SIZES = ("amount", "notional", "equity_ratio")
_GUARDS = ("stop_loss", "take_profit", "trailing_ratio")


@dataclass(frozen=True, slots=True)
class CallShape:
    """How a method may be called: the arguments' names without self."""

    positional: tuple[str, ...]
    n_required: int
    keywords: frozenset[str]
    has_varargs: bool
    has_varkw: bool


def check_self_use(methods: Mapping[str, Method], class_names: frozenset[str], tree: ast.Module) -> Iterator[Finding]:
    api = api_reference.names_of("self")
    assigned = frozenset(
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)
    )
    own = class_names | assigned
    is_dynamic = _sets_names_dynamically(tree) or "__getattr__" in own or "__getattribute__" in own
    for method in methods.values():
        self_name = _self_of(method)
        if not self_name:
            continue
        for node in _walk_where_bound(method, self_name):
            if isinstance(node, ast.Attribute) and _is_name(node.value, self_name):
                if isinstance(node.ctx, ast.Load) and not is_dynamic:
                    yield from _check_attribute(node, own, api)
                elif isinstance(node.ctx, ast.Store):
                    yield from _check_store(node, api)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = node.func.attr
                if _is_name(node.func.value, self_name) and name in api and name not in own:
                    yield from _check_call(node, name)
        if method.name == "on_data":
            yield from _check_bar(method, "data", "A bar has")
        elif method.name == "targets":
            yield from _check_bar(method, "candles", "Candles have")


def _check_attribute(
    node: ast.Attribute, own: frozenset[str], api: Mapping[str, api_reference.ApiName]
) -> Iterator[Finding]:
    if node.attr in own or node.attr in api or node.attr in _OBJECT_NAMES:
        return
    if close := suggest(node.attr, own | api.keys()):
        yield Finding(node, "unknown_attribute", f"There is no self.{node.attr}. Did you mean self.{close}?")
    else:
        text = f"Nothing sets self.{node.attr}, and Strategy has no such name."
        yield Finding(node, "unknown_attribute", text, "warning")


def _check_store(node: ast.Attribute, api: Mapping[str, api_reference.ApiName]) -> Iterator[Finding]:
    if node.attr in api and api[node.attr].kind != "attribute":
        text = f"self.{node.attr} belongs to Strategy; keep your value under another name."
        yield Finding(node, "reserved_name", text)


def _check_call(call: ast.Call, name: str) -> Iterator[Finding]:
    if any(isinstance(arg, ast.Starred) for arg in call.args) or any(word.arg is None for word in call.keywords):
        return  # what is passed is known only at run time
    shape = call_shapes().get(name)
    if shape is None:
        return
    given = dict(zip(shape.positional, call.args, strict=False))
    if len(call.args) > len(shape.positional) and not shape.has_varargs:
        text = f"{name} takes at most {len(shape.positional)} values without a name; write the others as name=value."
        yield Finding(call.args[len(shape.positional)], "too_many_arguments", text)
    for word in call.keywords:
        yield from _check_keyword(word, name, shape)
        given[word.arg or ""] = word.value
    for missing in shape.positional[: shape.n_required]:
        if missing not in given:
            yield Finding(call, "missing_argument", f"{name} needs {missing}.")
    if name in ("buy", "sell"):
        yield from _check_sizes(call, name, given)
        yield from _check_terms(call, given)


def _check_keyword(word: ast.keyword, name: str, shape: CallShape) -> Iterator[Finding]:
    if shape.has_varkw or word.arg in shape.keywords:
        return
    close = suggest(word.arg or "", shape.keywords)
    hint = f"Did you mean {close}?" if close else f"It takes {', '.join(sorted(shape.keywords))}."
    yield Finding(word, "unknown_argument", f"{name} has no {word.arg}. {hint}")


def _check_terms(call: ast.Call, given: Mapping[str, ast.expr]) -> Iterator[Finding]:
    """Words of an order that contradict each other, where the source says so plainly."""
    if _is_true(given.get("post_only")) and _is_none(given.get("limit")):
        yield Finding(
            call, "bad_order", "post_only belongs to a limit order: give limit=, the price where it may rest."
        )
    if _is_true(given.get("reduce_only")):
        for key in _GUARDS:
            if not _is_none(given.get(key)):
                yield Finding(given[key], "bad_order", f"{key} guards what an order opens; reduce_only opens nothing.")


def _check_sizes(call: ast.Call, name: str, given: Mapping[str, ast.expr]) -> Iterator[Finding]:
    sizes = {key: given[key] for key in _SIZES if key in given and not _is_none(given[key])}
    if not sizes and not any(key in given for key in _SIZES):
        yield Finding(call, "no_size", f"{name} needs a size: amount, notional or equity_ratio.")
    elif len(sizes) > 1:
        yield Finding(call, "two_sizes", f"{name} takes one size; here are {' and '.join(sizes)}.")
    for key, node in sizes.items():
        value = _number_of(node)
        if value is not None and not value > 0:
            yield Finding(node, "bad_size", f"{key} must be above zero; to go the other way, call the other method.")
        elif value is not None and key == "equity_ratio" and value > 1:
            text = "equity_ratio is a share: 1.0 binds the whole equity as margin. For more exposure give leverage=."
            yield Finding(node, "bad_size", text)


def _check_bar(method: Method, owner: api_reference.Owner, subject: str) -> Iterator[Finding]:
    """`data.clsoe`: only where `data` still is the bar, that is, nothing in the method binds the name anew."""
    positional = [*method.args.posonlyargs, *method.args.args]
    if len(positional) < 2:
        return
    bar, attributes = positional[1].arg, frozenset(api_reference.names_of(owner))
    fields = attributes - _NOT_FIELDS
    if any(isinstance(node, ast.Name) and node.id == bar and _is_store(node) for node in ast.walk(method)):
        return
    for node in _walk_where_bound(method, bar):
        if isinstance(node, ast.Attribute) and _is_name(node.value, bar) and isinstance(node.ctx, ast.Load):
            name, written, known = node.attr, f"{bar}.{node.attr}", attributes
        elif (
            isinstance(node, ast.Subscript)
            and _is_name(node.value, bar)
            and isinstance(node.slice, ast.Constant)
            and isinstance(node.slice.value, str)
        ):
            name, written, known = node.slice.value, f"{bar}[{node.slice.value[:40]!r}]", fields
        else:
            continue
        if name not in known and name not in _OBJECT_NAMES:
            close = suggest(name, known)
            hint = f"Did you mean {close}?" if close else f"{subject} {', '.join(sorted(known))}."
            yield Finding(node, "unknown_bar_field", f"There is no {written}. {hint}")


@cache
def call_shapes() -> dict[str, CallShape]:
    """The shapes of the methods in the reference, from their signatures."""
    return {
        entry.name: _read_shape(entry.signature)
        for entry in api_reference.API
        if entry.owner == "self" and entry.kind == "method"
    }


def _read_shape(signature: str) -> CallShape:
    function = ast.parse(f"def f{signature}: pass").body[0]
    assert isinstance(function, ast.FunctionDef)
    args = function.args
    positional = tuple(arg.arg for arg in args.args)
    return CallShape(
        positional,
        len(positional) - len(args.defaults),
        frozenset(positional) | {arg.arg for arg in args.kwonlyargs},
        args.vararg is not None,
        args.kwarg is not None,
    )


def _self_of(method: Method) -> str:
    """The name under which the method knows its strategy; empty for static and class methods."""
    if any(isinstance(d, ast.Name) and d.id in {"staticmethod", "classmethod"} for d in method.decorator_list):
        return ""
    positional = [*method.args.posonlyargs, *method.args.args]
    return positional[0].arg if positional else ""


def _walk_where_bound(method: Method, name: str) -> Iterator[ast.AST]:
    """The nodes of a method, without inner functions that give the name another meaning."""
    waiting: list[ast.AST] = [*method.body]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and any(
            isinstance(arg, ast.arg) and arg.arg == name for arg in ast.walk(node.args)
        ):
            continue
        waiting += ast.iter_child_nodes(node)


def _sets_names_dynamically(tree: ast.Module) -> bool:
    return any(
        (isinstance(node, ast.Name) and node.id in {"setattr", "vars"})
        or (isinstance(node, ast.Attribute) and node.attr in {"__dict__", "__setattr__"})
        for node in ast.walk(tree)
    )


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_store(node: ast.Name) -> bool:
    return not isinstance(node.ctx, ast.Load)


def _is_none(node: ast.expr | None) -> bool:
    return node is None or (isinstance(node, ast.Constant) and node.value is None)


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _number_of(node: ast.expr) -> float | None:
    sign = -1 if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else 1
    value = node.operand if isinstance(node, ast.UnaryOp) and sign < 0 else node
    if isinstance(value, ast.Constant) and isinstance(value.value, int | float) and not isinstance(value.value, bool):
        return sign * value.value
    return None
