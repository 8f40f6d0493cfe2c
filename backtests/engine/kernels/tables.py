"""Tables as kernels see them: the address of the first row, one word instead of the seven of an array.

A kernel is handed every table of the simulation. As arrays that were 160 words a call, and compiling took half as
long again. Equal, because Python holds the arrays for as long as a call takes;
bounds are kept by `has_room` (kernels/play.py), not looked at here. Without the JIT a table is the array itself.
"""

from typing import Any

import numba
from numba.core import cgutils, types
from numba.extending import intrinsic

type Row = Any  # one record of a table; kernels read row["price"]

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
        address = builder.bitcast(table, cgutils.voidptr_t)
        there = builder.gep(address, [builder.mul(i_row, i_row.type(signature.args[0].size))])
        return builder.bitcast(there, table.type)
