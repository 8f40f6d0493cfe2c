"""What makes a function a kernel, where compiled kernels are kept, and when they are stale."""

import hashlib
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numba

KERNELS = Path(__file__).parent

numba.config.CACHE_LOCATOR_CLASSES = ",".join(
    (
        f"{__name__}.KernelCacheLocator",
        "UserProvidedCacheLocator",  # numba's own, for the functions of others
        "InTreeCacheLocator",
        "UserWideCacheLocator",
    )
)


# Kernels allocate nothing, so they need no counting of references to arrays (`_nrt`), which costs ten times the
# work on a bar: each call would count every array of the simulation up and down. Equal, because Python holds the
# arrays for as long as a call takes. A kernel that does allocate fails to compile.
_OPTIONS = {"cache": True, "error_model": "numpy", "_nrt": False}


# These kernels are copied into their callers: those of small files, those that only their own file calls (_name), and
# those with one caller. Orders cost an eighth less; results are the same, for nothing is reordered; compiling takes as
# long. Copying the larger ones with several callers would double that.
COPIED_FILES = (
    *("account", "events", "fees", "margin", "orders", "positions", "prices", "quantity", "refusals", "sizes"),
    *("state", "trades", "waiting"),
)
COPIED = (
    *(
        "place_order",
        "find_early_refusal",
        "start_waiting",
        "is_traded",
    ),
    *("append_attached", "first_target", "cover", "cancel_exits", "note_closed"),
    *("find_room", "end_refused", "set_marks_at_close", "skip_funding"),
    *("make_target", "play_last", "write_command", "is_order_wanted"),
    *("is_plain", "only_position", "keeps_rows", "note_balance", "note_plain_balances", "extremes", "bearing_wallet"),
)


def kernel[F: Callable[..., Any]](function: F) -> F:
    """Compile, and keep what was compiled. No fastmath and no threads: results are the same to the bit everywhere.

    For kernels that only kernels call: what Python would need to call them is left out, a third of compile time.
    """
    options = {**_OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "forceinline": is_copied(function)}
    compiled: F = numba.njit(**options)(function)
    return compiled


def is_copied(function: Callable[..., Any]) -> bool:
    name = function.__name__
    return name.startswith("_") or name in COPIED or function.__module__.rpartition(".")[2] in COPIED_FILES


def entry_kernel[F: Callable[..., Any]](function: F) -> F:
    """A kernel that Python calls, too."""
    compiled: F = numba.njit(**_OPTIONS)(function)
    return compiled


def entry_of[F: Callable[..., Any]](compiled: F, *example: Any) -> F:
    """The compiled kernel for arguments of the example's types, without numba's dispatch.

    Dispatch looks at every array of the tuple anew: 5 us a call, ten times the kernel's own work on an order. This
    saves it. It is equal because the caller builds all arrays from the dtypes in state.py and rows.py; calling it
    with any others is not checked. Without the JIT it is the function itself.
    """
    if not hasattr(compiled, "compile"):
        return compiled
    entry: F = compiled.compile(tuple(numba.typeof(value) for value in example))
    return entry


@lru_cache(maxsize=1)
def sources_digest() -> str:
    """One digest over all kernel sources."""
    digest = hashlib.sha256()
    for path in sorted(KERNELS.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


class KernelCacheLocator:
    """Numba looks at one source file only, so a kernel would stay compiled against old versions of what it calls.

    This locator ties every kernel to the digest of all kernel sources, and reads a folder that it may not write
    to (the folder of a jailed child). Below NUMBA_CACHE_DIR where that is set, else beside the sources.
    """

    def __init__(self, py_func: Any, py_file: str) -> None:
        self._lineno = py_func.__code__.co_firstlineno
        self._py_file = py_file  # numba names it in warnings
        folder = os.environ.get("NUMBA_CACHE_DIR")
        self._path = Path(folder) / "kernels" if folder else KERNELS / "__pycache__" / "kernels"

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Self | None:
        if Path(py_file).parent != KERNELS:
            return None
        locator = cls(py_func, py_file)
        try:
            locator.ensure_cache_path()
        except OSError:
            return None
        return locator

    def ensure_cache_path(self) -> None:
        os.makedirs(self.get_cache_path(), exist_ok=True)

    def get_cache_path(self) -> str:
        return str(self._path / sources_digest())

    def get_source_stamp(self) -> str:
        return sources_digest()

    def get_disambiguator(self) -> str:
        return str(self._lineno)
