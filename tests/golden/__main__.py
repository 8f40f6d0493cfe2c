"""`make golden` shows what differs from the accepted results; `make golden-accept` writes, with a reason."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.golden.cases import case_names, differences, file_of, load_case, run_case

CHANGELOG = Path(__file__).resolve().parents[2] / "CHANGELOG.md"
HEADING = "### Results change"
USAGE = 'Usage: make golden, or: make golden-accept CASE=name REASON="why the result changed"'


def show_differences() -> int:
    n_changed = 0
    for name in case_names():
        case = load_case(name)
        lines = differences(case.expected, run_case(case))
        n_changed += bool(lines)
        print(f"{name}: {'as accepted' if not lines else 'DIFFERS'}")
        for line in lines:
            print(f"    {line}")
    if n_changed:
        print('Nothing was written. When the change is right: make golden-accept CASE=name REASON="why"')
    return 1 if n_changed else 0


def accept(name: str, reason: str) -> int:
    """Write today's result of the case, note the reason in it, and tell users in the changelog."""
    if name not in case_names():
        print(f"There is no case {name!r}; there are: {', '.join(case_names())}.", file=sys.stderr)
        return 2
    if len(reason.split()) < 3:
        print("Say in REASON why the result changed: it goes into the changelog.", file=sys.stderr)
        return 2
    case = load_case(name)
    got = run_case(case)
    lines = differences(case.expected, got)
    if not lines:
        print(f"{name}: nothing differs, nothing was written.")
        return 0
    is_first = not case.expected
    entry = {"on": datetime.now(UTC).date().isoformat(), "reason": reason}
    facts = {**case.facts, "expected": got, "accepted": [*case.facts.get("accepted", []), entry]}
    file_of(name).write_text(json.dumps(facts, indent=2) + "\n")
    if not is_first:
        add_to_changelog(f"- {reason} (golden case `{name}`)")
    print(f"{name}: accepted.")
    return 0


def add_to_changelog(line: str) -> None:
    """Put the line under the newest heading "Results change"."""
    text = CHANGELOG.read_text()
    heading_at = text.index(HEADING) + len(HEADING)
    CHANGELOG.write_text(text[:heading_at].rstrip() + "\n\n" + line + "\n" + text[heading_at:].lstrip("\n"))


def main(arguments: list[str]) -> int:
    if arguments == ["diff"]:
        return show_differences()
    if len(arguments) == 3 and arguments[0] == "accept" and all(arguments):
        return accept(arguments[1], arguments[2])
    print(USAGE, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
