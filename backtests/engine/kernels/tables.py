"""Tables as kernels see them: the address of the first row. And the one word by which they are handed all of them.

Python holds the arrays of a simulation and hands over an array of their addresses. A kernel passes that on as one
word and reads an address where it needs it, by name (`sim.books.orders`); names are resolved when it is compiled. As
arrays they were 160 words a call. Equal, because Python holds the arrays for as long as a call takes; bounds are kept
by `has_room` (kernels/play.py), not looked at here. Without the JIT a table is the array itself.
"""

from collections.abc import Mapping
from typing import Any

import numba
import numpy as np
from numba.core import cgutils, types
from numba.core.datamodel import models, register_default
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, lower_getattr_generic
from numpy.typing import NDArray

type Row = Any  # one record of a table; kernels read row["price"]
type Layout = Mapping[str, "Layout | np.dtype[Any]"]  # named groups of named tables, each by what its rows are


def list_arrays(group: Any) -> list[NDArray[Any]]:
    """The arrays of nested named tuples, in order."""
    return [array for part in group for array in ([part] if isinstance(part, np.ndarray) else list_arrays(part))]


class Group(types.Type):
    """The type of a group of tables in compiled code. Its value is the address of the array of all addresses."""

    def __init__(self, name: str, layout: Layout, i_first: int = 0) -> None:
        super().__init__(f"Group({name})")
        i_start = i_first
        self.members: dict[str, Any] = {}  # by name: the type, and where in the array its address stands
        for member, rows in layout.items():
            if isinstance(rows, Mapping):
                group = Group(f"{name}.{member}", rows, i_first)
                self.members[member] = (group, i_first)
                i_first += group.n_tables
            else:
                self.members[member] = (_pointer_to(rows), i_first)
                i_first += 1
        self.n_tables: int = i_first - i_start


def _pointer_to(rows: "np.dtype[Any]") -> Any:
    """Of records the first one, which is its own address; plain numbers by a pointer, indexed as an array is."""
    kind = numba.from_dtype(rows)
    return kind if isinstance(kind, types.Record) else types.CPointer(kind)  # type: ignore[attr-defined]


register_default(Group)(models.OpaqueModel)


@infer_getattr
class _GroupNames(AttributeTemplate):  # type: ignore[misc]
    key = Group

    def generic_resolve(self, group: Group, name: str) -> Any:
        return group.members[name][0] if name in group.members else None


@lower_getattr_generic(Group)
def _read_member(context: Any, builder: Any, group: Group, value: Any, name: str) -> Any:
    member, i_table = group.members[name]
    if isinstance(member, Group):
        return value
    words = builder.bitcast(value, cgutils.intp_t.as_pointer())
    address = builder.load(builder.gep(words, [cgutils.intp_t(i_table)]))
    address.set_metadata("invariant.load", builder.module.add_metadata([]))  # none changes while a kernel runs
    return builder.inttoptr(address, context.get_value_type(member))


def make_opener(name: str, layout: Layout) -> Any:
    """A function for entry kernels: what Python handed over -> the group of that layout."""
    group = Group(name, layout)

    @intrinsic
    def open_tables(typing_context: Any, addresses: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(signature.args[0])(context, builder, args[0]).data
            return builder.bitcast(data, context.get_value_type(signature.return_type))

        return group(addresses), generate

    return open_tables


if numba.config.DISABLE_JIT:

    def first_row(array: Any) -> Any:
        """The table: its first row is its address. Arrays of more axes are walked row by row."""
        return array.reshape(-1)

    def row_of(table: Any, i_row: int) -> Row:
        """A row, to be read and written."""
        return table[i_row]

    def rows_from(table: Any, i_row: int) -> Any:
        """The table from a row on."""
        return table[i_row:]

    def copy_row(to: Row, row: Row) -> None:
        """Overwrite one row with another of the same kind."""
        for name in row.dtype.names:
            to[name] = row[name]

else:

    @intrinsic
    def first_row(typing_context: Any, array: Any) -> Any:
        """The table: its first row is its address. Of plain numbers: a pointer, which is indexed as an array is."""
        is_table = isinstance(array.dtype, types.Record)
        made = array.dtype if is_table else types.CPointer(array.dtype)  # type: ignore[attr-defined]

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(signature.args[0])(context, builder, args[0]).data
            return builder.bitcast(data, context.get_value_type(signature.return_type))

        return made(array), generate

    @intrinsic
    def row_of(typing_context: Any, table: Any, i_row: Any) -> Any:
        """A row, to be read and written."""
        return table(table, types.int64), _move

    rows_from = row_of

    @intrinsic
    def copy_row(typing_context: Any, to: Any, row: Any) -> Any:
        """Overwrite one row with another of the same kind."""

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            cgutils.raw_memcpy(builder, args[0], args[1], cgutils.intp_t(1), signature.args[0].size)
            return context.get_dummy_value()

        return types.void(to, row), generate

    def _move(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        table, i_row = args
        if isinstance(signature.args[0], types.CPointer):  # type: ignore[attr-defined]
            return builder.gep(table, [i_row])
        address = builder.bitcast(table, cgutils.voidptr_t)
        there = builder.gep(address, [builder.mul(i_row, i_row.type(signature.args[0].size))])
        return builder.bitcast(there, table.type)
