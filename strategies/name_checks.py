"""Checks of what a source imports and which names it uses."""

import ast
import builtins
from collections.abc import Iterator

from strategies import api_reference
from strategies.problems import Finding, suggest

ALLOWED_MODULES = frozenset(
    {
        *("pandas", "numpy", "pandas_ta", "talib", "math", "datetime", "typing", "hindsight"),
        *("statistics", "collections", "itertools", "functools", "dataclasses", "enum"),
        *("decimal", "fractions", "random", "bisect", "heapq"),
    }
)
_ALLOWED_LIST = "pandas, numpy, pandas_ta, talib and the harmless part of the standard library, such as math"
GLOBAL_NAMES = frozenset(api_reference.names_of("global"))
HINDSIGHT_NAMES = GLOBAL_NAMES | {
    "Candles",
    "Indicator",
    "Order",
}  # `from hindsight import` also finds types to annotate with
_USUAL_IMPORTS = {
    "np": "import numpy as np",
    "numpy": "import numpy",
    "pd": "import pandas as pd",
    "pandas": "import pandas",
    "talib": "import talib",
    "math": "import math",
    "datetime": "from datetime import datetime",
    "timedelta": "from datetime import timedelta",
    "deque": "from collections import deque",
    "defaultdict": "from collections import defaultdict",
    "statistics": "import statistics",
    "random": "import random",
}
FORBIDDEN_NAMES = {
    "eval": "code cannot be run from text",
    "exec": "code cannot be run from text",
    "compile": "code cannot be run from text",
    "__import__": "write an ordinary import",
    "open": "strategies read no files; candles come as data",
    "input": "nobody is there to answer while a run goes on",
    "breakpoint": "nobody is there to answer while a run goes on",
    "globals": "use attributes of self",
    "locals": "use attributes of self",
    "vars": "use attributes of self",
    "__builtins__": "use the names directly",
    "exit": "use return to leave on_data",
    "quit": "use return to leave on_data",
}
# Attributes that lead from a value to the interpreter; `__class__`, `__name__`, `__dict__` have honest uses.
ESCAPES = frozenset(
    {
        *("__subclasses__", "__mro__", "mro", "__bases__", "__base__", "__getattribute__", "__self__"),
        *("__globals__", "__builtins__", "__code__", "__closure__", "__wrapped__", "__loader__", "__spec__"),
        *("__import__", "__reduce__", "__reduce_ex__", "f_globals", "f_builtins", "f_locals", "f_back"),
        *("tb_frame", "gi_frame", "gi_code", "cr_frame", "cr_code", "ag_frame", "ag_code", "co_code"),
    }
)
_BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__", "__class__"}


def check_names(tree: ast.Module) -> Iterator[Finding]:
    bound = bound_names(tree)
    has_star = any(isinstance(n, ast.ImportFrom) and any(a.name == "*" for a in n.names) for n in ast.walk(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _check_import(node)
        elif isinstance(node, ast.Attribute) and node.attr in ESCAPES:
            why = f"`.{node.attr}` reaches into Python itself; strategies may not use it."
            yield Finding(node, "forbidden_attribute", why)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in bound:
            yield from _check_name(node, bound, has_star)


def bound_names(tree: ast.AST) -> frozenset[str]:
    """Every name that the source binds anywhere: a name bound in one function is not doubted in another."""
    return frozenset(name for node in ast.walk(tree) for name in _names_bound_by(node))


def _names_bound_by(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.alias(name=name, asname=asname):
            yield asname or name.partition(".")[0]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
        case ast.TypeVar(name=name) | ast.ParamSpec(name=name) | ast.TypeVarTuple(name=name):
            yield name
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            yield from names
        case _:
            pass


def _check_import(node: ast.Import | ast.ImportFrom) -> Iterator[Finding]:
    modules: list[tuple[ast.AST, str]] = [(alias, alias.name) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        modules = [(node, node.module or "")]
        if node.level:
            yield Finding(node, "forbidden_import", "A strategy is one file; there is nothing beside it to import.")
            return
    for place, module in modules:
        top = module.partition(".")[0]
        if top not in ALLOWED_MODULES:
            close = suggest(top, ALLOWED_MODULES)
            hint = f"Did you mean {close}?" if close else f"Allowed are {_ALLOWED_LIST}."
            yield Finding(place, "forbidden_import", f"Strategies may not import {module}. {hint}")
    if isinstance(node, ast.ImportFrom) and node.module == "hindsight":
        for alias in node.names:
            if alias.name != "*" and alias.name not in HINDSIGHT_NAMES:
                close = suggest(alias.name, HINDSIGHT_NAMES)
                hint = f"Did you mean {close}?" if close else f"It has: {', '.join(sorted(HINDSIGHT_NAMES))}."
                yield Finding(alias, "unknown_import", f"hindsight has no {alias.name}. {hint}")


def _check_name(node: ast.Name, bound: frozenset[str], has_star: bool) -> Iterator[Finding]:
    name = node.id
    if name in FORBIDDEN_NAMES:
        yield Finding(node, "forbidden_name", f"Strategies may not use {name}: {FORBIDDEN_NAMES[name]}.")
    elif name == "print":
        yield Finding(
            node,
            "print",
            "Of what is printed only the end is kept, without times; self.log(text) keeps both.",
            "warning",
        )
    elif name not in _BUILTINS and name not in GLOBAL_NAMES and not has_star:
        if name in _USUAL_IMPORTS:
            hint = f"Add `{_USUAL_IMPORTS[name]}` at the top."
        elif name in api_reference.names_of("self"):
            hint = f"Did you mean self.{name}?"
        elif close := suggest(name, bound | GLOBAL_NAMES):
            hint = f"Did you mean {close}?"
        else:
            hint = "Nothing in the source defines it."
        yield Finding(node, "undefined_name", f"{name} is not defined. {hint}")
