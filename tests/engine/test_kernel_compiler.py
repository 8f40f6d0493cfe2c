"""What is said about kernels by name is said about kernels that exist."""

import ast
from pathlib import Path

from backtests.engine.kernels import compiler

FOLDER = Path(compiler.__file__).parent


def kernels_by_file():
    """The names of the kernels of each file, entries left out: those are never copied."""
    found = {}
    for path in FOLDER.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and [d.id for d in node.decorator_list if isinstance(d, ast.Name)] == [
                "kernel"
            ]:
                found.setdefault(path.stem, set()).add(node.name)
    return found


def test_copied_kernels_and_files_exist():
    found = kernels_by_file()
    assert set(compiler.COPIED_FILES) - found.keys() == set()
    assert set(compiler.COPIED) - set().union(*found.values()) == set()


def test_no_copied_name_stands_where_its_file_or_its_underscore_says_it_already():
    found = kernels_by_file()
    by_file = set().union(*(found[name] for name in compiler.COPIED_FILES))
    assert set(compiler.COPIED) & by_file == set()
    assert [name for name in compiler.COPIED if name.startswith("_")] == []
