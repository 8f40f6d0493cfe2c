"""Two texts side by side, as lines that a template can show."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

MAX_LINES = 3000  # comparing takes quadratic time
CONTEXT = 3


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line: its numbers in the old and the new text, None where it is in only one. A "skip" stands for lines
    that are equal and left out."""

    kind: Literal["same", "added", "removed", "skip"]
    old_number: int | None
    new_number: int | None
    text: str


def diff_lines(old: str, new: str) -> list[DiffLine] | None:
    """What changed, with three lines around each change; empty when nothing did, None for texts too long to compare."""
    before, after = old.split("\n"), new.split("\n")
    if max(len(before), len(after)) > MAX_LINES:
        return None
    lines: list[DiffLine] = []
    end_of_last = 0
    for group in SequenceMatcher(None, before, after).get_grouped_opcodes(CONTEXT):
        if group[0][1] > end_of_last:
            lines.append(DiffLine("skip", None, None, ""))
        for tag, i, i_end, j, j_end in group:
            lines += _lines_of(tag, range(i, i_end), range(j, j_end), before, after)
        end_of_last = group[-1][2]
    if lines and end_of_last < len(before):
        lines.append(DiffLine("skip", None, None, ""))
    return lines


def _lines_of(tag: str, old: range, new: range, before: list[str], after: list[str]) -> Iterator[DiffLine]:
    if tag == "equal":
        for i, j in zip(old, new, strict=True):
            yield DiffLine("same", i + 1, j + 1, before[i])
        return
    for i in old:
        yield DiffLine("removed", i + 1, None, before[i])
    for j in new:
        yield DiffLine("added", None, j + 1, after[j])
