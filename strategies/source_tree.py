"""From a strategy's source text to its syntax tree, whatever the text is. Nothing here runs the source."""

import ast
import warnings

DEFAULT_MAX_BYTES = 200_000

_FRIENDLY = {
    "invalid syntax": "Python cannot read this line.",
    "expected ':'": "A ':' is missing here.",
    "unexpected indent": "This line is indented more than the lines around it.",
    "unindent does not match any outer indentation level": "The indentation of this line fits no line above it.",
    "inconsistent use of tabs and spaces in indentation": "Tabs and spaces are mixed in the indentation; use spaces.",
    "invalid syntax. Maybe you meant '==' or ':=' instead of '='?": "Use '==' to compare; '=' assigns.",
    "too many nested parentheses": "The brackets are nested too deeply.",
    "too many levels of indentation": "The blocks are nested too deeply.",
}


class UnreadableSource(Exception):
    """A text that is no Python program: line and column count from 1, with a stable code and a friendly message."""

    def __init__(self, line: int, column: int, code: str, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.column = column
        self.code = code
        self.message = message


def decode_source(source: str | bytes, max_bytes: int = DEFAULT_MAX_BYTES) -> str:
    """The text as it can be stored. Raises UnreadableSource for a text that is too long, not UTF-8 or holds NUL."""
    try:
        as_bytes = source.encode() if isinstance(source, str) else source
        text = source if isinstance(source, str) else source.decode()
    except UnicodeEncodeError as error:
        raise _not_utf8(source[: error.start] if isinstance(source, str) else "") from None
    except UnicodeDecodeError as error:
        raise _not_utf8(error.object[: error.start].decode()) from None
    if len(as_bytes) > max_bytes:
        size = f"{len(as_bytes):,} bytes; a strategy may have {max_bytes:,}"
        raise UnreadableSource(1, 1, "source_too_long", f"The source has {size}.")
    if "\0" in text:
        line, column = _position_after(text[: text.index("\0")])
        raise UnreadableSource(line, column, "null_character", "There is a NUL character in the source; remove it.")
    return text


def parse_source(source: str | bytes, max_bytes: int = DEFAULT_MAX_BYTES) -> ast.Module:
    """The syntax tree. Raises UnreadableSource, and nothing else, for a text that Python would refuse to compile."""
    text = decode_source(source, max_bytes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes and the like: the user meets them in the run's log
            tree = ast.parse(text, "strategy.py")
            # The parser lets `return` outside a function and its like pass; only the compiler refuses them.
            compile(tree, "strategy.py", "exec", dont_inherit=True)
    except SyntaxError as error:
        message = error.msg or "invalid syntax"
        friendly = _FRIENDLY.get(message) or f"{message[:1].upper()}{message[1:]}."
        raise UnreadableSource(max(error.lineno or 1, 1), max(error.offset or 1, 1), "syntax", friendly) from None
    except (RecursionError, MemoryError):
        raise UnreadableSource(1, 1, "too_nested", "The source is nested too deeply to be read.") from None
    except (ValueError, OverflowError, SystemError) as error:
        raise UnreadableSource(1, 1, "syntax", f"Python cannot read this source: {error}.") from None
    return tree


def find_strategy_classes(tree: ast.Module) -> list[ast.ClassDef]:
    """The classes at the top of the source that inherit Strategy, directly or through one another, in order."""
    names = strategy_names(tree)
    found = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any(base_name(base) in names for base in node.bases):
            found.append(node)
            names.add(node.name)
    return found


def strategy_names(tree: ast.Module) -> set[str]:
    """The names under which the source knows Strategy."""
    return {"Strategy"} | {
        alias.asname
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "hindsight"
        for alias in node.names
        if alias.name == "Strategy" and alias.asname
    }


def find_leaves(classes: list[ast.ClassDef]) -> list[ast.ClassDef]:
    """Those that no other of them inherits: what a run would take as its strategy, if there is exactly one."""
    inherited = {base_name(base) for node in classes for base in node.bases}
    return [node for node in classes if node.name not in inherited]


def find_ancestors(node: ast.ClassDef, tree: ast.Module) -> list[ast.ClassDef]:
    """The class itself and the classes at the top of the source that it inherits, nearest first."""
    local = {other.name: other for other in tree.body if isinstance(other, ast.ClassDef)}
    found = [node]
    for current in found:  # grows while it is walked
        names = (base_name(base) for base in current.bases)
        found += [local[name] for name in names if name in local and local[name] not in found]
    return found


def base_name(node: ast.expr) -> str:
    """`Strategy` for Strategy and hindsight.Strategy alike; empty for anything more involved."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _not_utf8(text_before: str) -> UnreadableSource:
    line, column = _position_after(text_before)
    return UnreadableSource(line, column, "not_utf8", "There is a character here that is not UTF-8 text.")


def _position_after(text: str) -> tuple[int, int]:
    return text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1
