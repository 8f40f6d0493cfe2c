"""Friendly checks of a strategy's source: they help whoever writes it. They are not what keeps a run from harm.

Nothing here runs the source. Every check errs on the side of silence: what cannot be known from the text is not
reported.
"""

import ast
import re
from itertools import islice

from strategies import class_checks, name_checks
from strategies.problems import Finding, Problem, Severity
from strategies.source_tree import DEFAULT_MAX_BYTES, UnreadableSource, parse_source

__all__ = ["MAX_PROBLEMS", "Problem", "Severity", "check_source", "has_errors"]

MAX_PROBLEMS = 50


def check_source(source: str | bytes, *, max_bytes: int = DEFAULT_MAX_BYTES) -> list[Problem]:
    """What is wrong or doubtful, in the order of the lines; empty when nothing is. Never raises, on any text."""
    try:
        tree = parse_source(source, max_bytes)
    except UnreadableSource as error:
        return [Problem(error.line, error.column, error.code, error.message, "error")]
    text = source if isinstance(source, str) else source.decode()
    lines = re.split("\r\n|\r|\n", text)  # as Python counts lines; splitlines knows more kinds
    findings = [
        *islice(class_checks.check_classes(tree), MAX_PROBLEMS),
        *islice(name_checks.check_names(tree), MAX_PROBLEMS),
    ]
    return sorted({_place(finding, lines) for finding in findings})[:MAX_PROBLEMS]


def has_errors(problems: list[Problem]) -> bool:
    return any(problem.severity == "error" for problem in problems)


def _place(finding: Finding, lines: list[str]) -> Problem:
    """Syntax trees count columns in UTF-8 bytes from 0; people and editors count characters from 1."""
    node = finding.node
    line = getattr(node, "lineno", 1)
    n_bytes = getattr(node, "col_offset", 0)
    if isinstance(node, ast.Attribute) and node.end_col_offset is not None:
        # Of `self.bye` the name after the dot is what is wrong.
        line, n_bytes = node.end_lineno or line, node.end_col_offset - len(node.attr.encode())
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    column = len(text.encode()[:n_bytes].decode(errors="ignore")) + 1
    return Problem(line, column, finding.code, finding.message, finding.severity)
