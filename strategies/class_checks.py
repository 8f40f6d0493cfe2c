"""Checks of the strategy class: is there one, does it have its methods, can its parameters be read."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from strategies import api_reference
from strategies.params import MAX_WARMUP_BARS, read_class_params
from strategies.problems import Finding, suggest
from strategies.self_checks import check_self_use
from strategies.source_tree import base_name, find_ancestors, find_leaves, find_strategy_classes, strategy_names

type Method = ast.FunctionDef | ast.AsyncFunctionDef

REQUIRED = ("initialize", "on_data")
_HEARD_WITH_TARGETS = ("initialize", "targets", "on_finish")
# What other tools call the same thing.
_ALIASES = {
    "init": "initialize",
    "setup": "initialize",
    "on_start": "initialize",
    "start": "initialize",
    "__init__": "initialize",
    "next": "on_data",
    "on_bar": "on_data",
    "on_candle": "on_data",
    "on_tick": "on_data",
    "handle_data": "on_data",
    "update": "on_data",
}
_SKELETON = "class MyStrategy(Strategy): with initialize(self) and on_data(self, data)"


@dataclass(frozen=True, slots=True)
class ClassBody:
    """What a class and the classes of the source that it inherits define. `is_closed`: nothing is inherited from
    elsewhere except Strategy itself."""

    classes: list[ast.ClassDef]  # the strategy first
    methods: dict[str, Method]
    names: frozenset[str]
    is_closed: bool

    @property
    def node(self) -> ast.ClassDef:
        return self.classes[0]


def check_classes(tree: ast.Module) -> Iterator[Finding]:
    classes = find_strategy_classes(tree)
    if not classes:
        yield from _check_absent(tree)
    leaves = find_leaves(classes)
    for extra in leaves[1:]:
        text = f"{extra.name} is a second strategy beside {leaves[0].name}; a source holds one. Remove or split them."
        yield Finding(extra, "several_strategies", text)
    if len(leaves) == 1:
        body = read_class_body(leaves[0], tree)
        yield from _check_methods(body)
        yield from _check_params(body)
        if body.is_closed:
            yield from check_self_use(body.methods, body.names, tree)


def read_class_body(node: ast.ClassDef, tree: ast.Module) -> ClassBody:
    classes = find_ancestors(node, tree)
    methods: dict[str, Method] = {}
    names: set[str] = set()
    for statement in (statement for current in classes for statement in current.body):
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            methods.setdefault(statement.name, statement)
        names |= _names_set_by(statement)
    known = {current.name for current in classes} | {"Strategy", "object"} | strategy_names(tree)
    is_closed = not any(current.keywords or current.decorator_list for current in classes) and all(
        base_name(base) in known for current in classes for base in current.bases
    )
    return ClassBody(classes, methods, frozenset(names), is_closed)


def _names_set_by(statement: ast.stmt) -> set[str]:
    """The names that a statement of a class body leaves in the class (and some that stay inside: harmless here)."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    names = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name.partition(".")[0])
    return names


def _check_absent(tree: ast.Module) -> Iterator[Finding]:
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    if any(base_name(base) == "Strategy" for node in classes for base in node.bases):
        return  # it stands inside an `if` or a function; whether it gets made cannot be known here
    for node in classes:
        if any(isinstance(item, ast.FunctionDef) and item.name in REQUIRED for item in node.body):
            text = f"{node.name} does not inherit Strategy; write `class {node.name}(Strategy):`."
            yield Finding(node, "no_strategy", text)
            return
    yield Finding(None, "no_strategy", f"There is no strategy here: write {_SKELETON}.")


def _check_methods(body: ClassBody) -> Iterator[Finding]:
    hooks = {entry.name: entry for entry in api_reference.HOOKS}
    yield from _check_way(body)
    for name in () if "targets" in body.names else REQUIRED:
        if name not in body.names and body.is_closed:
            signature = f"{name}{hooks[name].signature}"
            meant = next((m for m in body.methods if _ALIASES.get(m) == name), "") or suggest(
                name, body.methods.keys() - hooks.keys()
            )
            hint = f" You have {meant}; rename it to {name}." if meant else f" Add `def {signature}:`."
            yield Finding(body.node, "missing_method", f"{body.node.name} has no {signature}.{hint}")
    for name, method in body.methods.items():
        if name in hooks:
            yield from _check_signature(method, hooks[name].signature)
    if init := body.methods.get("__init__"):
        yield from _check_init(init)


def _check_way(body: ClassBody) -> Iterator[Finding]:
    """It is called at every bar, or it answers once with an array: one of the two."""
    if "targets" not in body.methods:
        return
    for entry in api_reference.HOOKS:
        if entry.name in body.methods and entry.name not in _HEARD_WITH_TARGETS:
            text = f"{body.node.name} has targets, so {entry.name} is never called; keep one of the two."
            yield Finding(body.methods[entry.name], "two_ways", text)


def _check_init(init: Method) -> Iterator[Finding]:
    if not _takes(init.args, 1):
        text = "__init__ is called without arguments; declare parameters with Param and use initialize(self)."
        yield Finding(init, "wrong_signature", text)
    methods = {entry.name for entry in api_reference.API if entry.owner == "self" and entry.kind == "method"}
    for node in ast.walk(init):
        if isinstance(node, ast.Attribute) and node.attr in methods and base_name(node.value) == "self":
            text = f"When __init__ runs there is neither data nor account; call self.{node.attr} in initialize(self)."
            yield Finding(node, "init_method", text)


def _check_signature(method: Method, signature: str) -> Iterator[Finding]:
    wanted = f"def {method.name}{signature}"
    if isinstance(method, ast.AsyncFunctionDef):
        yield Finding(method, "wrong_signature", f"{method.name} must not be async; write `{wanted}:`.")
    elif method.decorator_list:
        if any(base_name(decorator) in {"staticmethod", "classmethod"} for decorator in method.decorator_list):
            yield Finding(method, "wrong_signature", f"{method.name} is an ordinary method; write `{wanted}:`.")
    elif not _takes(method.args, signature.count(",") + 1):
        yield Finding(method, "wrong_signature", f"{method.name} is called as `{wanted}:`; write it so.")
    elif _yields(method):
        yield Finding(method, "wrong_signature", f"{method.name} must not yield: it would never run. Use return.")


def _takes(args: ast.arguments, n_given: int) -> bool:
    """Can the method be called with so many positional arguments, self included?"""
    n_positional = len(args.posonlyargs) + len(args.args)
    needs_keyword = any(default is None for default in args.kw_defaults)
    return (
        not needs_keyword
        and n_positional - len(args.defaults) <= n_given
        and (n_given <= n_positional or args.vararg is not None)
    )


def _yields(method: Method) -> bool:
    waiting: list[ast.AST] = [*method.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)
    return False


def _check_params(body: ClassBody) -> Iterator[Finding]:
    specs, faults = read_class_params(body.classes)
    for fault in faults:
        yield Finding(fault.node, "bad_param", fault.message)
    reserved = api_reference.names_of("self")
    declared = {spec["name"] for spec in specs}
    for statement in body.node.body:
        name = _assigned_name(statement)
        if name in reserved and reserved[name].kind not in ("attribute", "hook"):
            text = f"{name} is a name of Strategy itself; call yours something else."
            yield Finding(statement, "reserved_name", text)
        elif name == "warmup_bars" and not _is_warmup(statement):
            text = f"warmup_bars is read without running the code: write a whole number, at most {MAX_WARMUP_BARS:,}."
            yield Finding(statement, "bad_warmup", text)
        elif name in declared and name.startswith("_"):
            yield Finding(statement, "bad_param", f"A parameter's name must not start with an underscore: {name}.")
    for method in body.methods.values():
        for node in ast.walk(method):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Param":
                yield Finding(node, "param_place", "Declare Param in the class body, above the methods.")


def _is_warmup(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
    return isinstance(value, ast.Constant) and type(value.value) is int and 0 <= value.value <= MAX_WARMUP_BARS


def _assigned_name(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id
    return ""
