"""What a child may read: Python, the libraries, the engine, compiled kernels. Nothing of the site, nothing of users."""

import functools
import os
import stat
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
PYTHON = os.path.realpath(sys.executable)
_ENGINE = ("backtests/__init__.py", "backtests/engine")
_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo")


@dataclass(frozen=True, slots=True)
class Tree:
    """A file or folder of this machine, and where it lies for the child."""

    source: str
    seen_as: str


@dataclass(frozen=True, slots=True)
class Trees:
    """All of them, with the child's own paths for imports and for numba's cache."""

    trees: tuple[Tree, ...]
    python_path: str
    cache: str

    @property
    def readable(self) -> tuple[str, ...]:
        return tuple(tree.seen_as for tree in self.trees)


@functools.lru_cache(maxsize=4)
def trees_in_place(cache_dir: Path) -> Trees:
    """Where everything lies on this machine: what a child without bubblewrap sees."""
    libraries = _library_folders()
    own = [*(str(PROJECT / name) for name in _ENGINE), *libraries, str(cache_dir)]
    return Trees(
        tuple(Tree(path, path) for path in (*_python_trees(), *own)),
        os.pathsep.join((str(PROJECT), *libraries)),
        str(cache_dir),
    )


@functools.lru_cache(maxsize=4)
def trees_in_jail(cache_dir: Path) -> Trees:
    """Under /jail, so that a strategy does not even learn where the site lies; Python stays where it was built for."""
    libraries = [Tree(folder, f"/jail/libraries-{i}") for i, folder in enumerate(_library_folders())]
    engine = [Tree(str(PROJECT / name), f"/jail/{name}") for name in _ENGINE]
    python = [Tree(path, path) for path in _python_trees()]
    return Trees(
        (*python, *engine, *libraries, Tree(str(cache_dir), "/jail/compiled")),
        os.pathsep.join(("/jail", *(tree.seen_as for tree in libraries))),
        "/jail/compiled",
    )


def find_closed(paths: tuple[str, ...], *, with_parents: bool) -> str | None:
    """The first of these that other users may not read; a file deep inside a folder is not looked at."""
    for path in map(Path, paths):
        if not _is_open(path, stat.S_IROTH):
            return str(path)
        for parent in path.resolve().parents if with_parents else ():
            if not _is_open(parent, stat.S_IXOTH):
                return str(parent)
    return None


def _is_open(path: Path, right: int) -> bool:
    return bool(path.stat().st_mode & right)


@functools.cache
def _python_trees() -> tuple[str, ...]:
    base = Path(sys.base_prefix)
    own = (PYTHON, str(base / "lib"), str(Path(sysconfig.get_path("stdlib"))))
    paths = dict.fromkeys((*_SYSTEM, *own))
    return tuple(path for path in paths if os.path.exists(path) and not _lies_in(path, paths))


def _lies_in(path: str, others: dict[str, None]) -> bool:
    return any(path != other and path.startswith(f"{other}/") for other in others)


@functools.cache
def _library_folders() -> tuple[str, ...]:
    folders = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    return tuple(folder for folder in folders if os.path.isdir(folder))
