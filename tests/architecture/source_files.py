"""The files of this repository, as the architecture tests see them."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("config", "accounts", "strategies", "marketdata", "backtests")
IGNORED = {".git", ".venv", ".venv-node", "var", "node_modules", "dist", "dist.new", "__pycache__"}
type Function = ast.FunctionDef | ast.AsyncFunctionDef


def walk(folder: Path = ROOT) -> Iterator[Path]:
    """Every file that a clone would have (or that is about to be added)."""
    for path in sorted(folder.iterdir()):
        if path.name in IGNORED or path.name.endswith(("_cache", ".pyc")) or path.name == ".hypothesis":
            continue
        if path.is_dir():
            yield from walk(path)
        else:
            yield path


def product_files() -> list[Path]:
    """Python of the product and of its tooling; migrations are Django's own writing."""
    roots = [ROOT / name for name in (*PACKAGES, "deploy", "benchmarks")]
    files = [path for root in roots for path in walk(root) if path.suffix == ".py"]
    return [path for path in files if "migrations" not in path.parts]


def suite_files() -> list[Path]:
    return [path for path in walk(ROOT / "tests") if path.suffix == ".py"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def count_lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def functions_of(path: Path) -> Iterator[tuple[str, Function]]:
    """Every function and method, with a name that tells where it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{name_of(path)}::{node.name}", node


def length_of(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


KERNEL_DECORATORS = {"kernel", "entry_kernel", "inlined_kernel"}


def is_kernel(node: Function) -> bool:
    return any(isinstance(d, ast.Name) and d.id in KERNEL_DECORATORS for d in node.decorator_list)
