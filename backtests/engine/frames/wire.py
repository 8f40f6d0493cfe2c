"""Frames as bytes: u32 big-endian length, then that many bytes of JSON, at most 64 KiB. A length of 0: a turn.

The decoder faces a hostile sender: an unknown key, a wrong type, a boolean as a number, NaN or Infinity, a name out
of bounds, broken text each raise FrameError. A number that is not given is null.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from backtests.engine.frames import kinds
from backtests.engine.frames.kinds import Frame, FrameError
from backtests.engine.kernels.types import COMMAND
from backtests.engine.result import Rows

MAX_FRAME_BYTES = 64 * 1024
HEADER_BYTES = 4
TOKEN_BYTES = 4
MAX_INT = 2**53

# Commands as they travel: as in the engine, but a flag is a byte, which need not be 0 or 1.
_COLUMNS = [(name, COMMAND[name]) for name in COMMAND.names or ()]
_WIRE_ROW = np.dtype([(name, "u1" if dtype.kind == "b" else dtype.newbyteorder("<")) for name, dtype in _COLUMNS])
MAX_ROWS = MAX_FRAME_BYTES * 3 // 4 // _WIRE_ROW.itemsize - 10  # of one frame, as base64, with the frame's keys
MAX_NUMBER = 1e300


def encode_frame(kind: str, **fields: Any) -> bytes:
    """One frame. Raises FrameError when it would be longer than the decoder takes."""
    payload = json.dumps({"kind": kind, **fields}, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    if len(payload) > MAX_FRAME_BYTES:
        raise FrameError(f"A {kind} frame of {len(payload)} bytes is longer than {MAX_FRAME_BYTES}.")
    return len(payload).to_bytes(HEADER_BYTES, "big") + payload


def encode_turn(token: bytes) -> bytes:
    """The one frame that is no JSON, since a sealed run writes one for each bar: no length, and the bar's token."""
    return bytes(HEADER_BYTES) + token


def encode_rows(rows: Rows) -> str:
    """Commands as base64 of their bytes, column by column as COMMAND declares them, little-endian, without gaps."""
    return base64.b64encode(rows.astype(_WIRE_ROW).tobytes()).decode()


def encode_array(values: NDArray[Any], dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype).tobytes()).decode()


class FrameDecoder:
    """Cuts a stream into frames. Feed it what came; it keeps what is not yet whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def n_waiting(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now. Raises FrameError at the first bad one."""
        self._buffer += data
        while len(self._buffer) >= HEADER_BYTES:
            length = int.from_bytes(self._buffer[:HEADER_BYTES], "big")
            if length > MAX_FRAME_BYTES:
                raise FrameError(f"A frame says that it is {length} bytes long; at most {MAX_FRAME_BYTES} are allowed.")
            end = HEADER_BYTES + (length or TOKEN_BYTES)
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[HEADER_BYTES:end])
            del self._buffer[:end]
            yield decode_frame(payload) if length else kinds.TurnFrame(payload)


def decode_frame(payload: bytes) -> Frame:
    """The frame that this JSON stands for. Raises FrameError and nothing else."""
    try:
        fields = json.loads(payload.decode(), parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
    except FrameError:
        raise
    except (ValueError, RecursionError) as error:
        raise FrameError(f"A frame is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise FrameError("A frame is not an object.")
    kind = fields.pop("kind", None)
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise FrameError(f"There is no kind of frame {str(kind)[:40]!r}.")
    names, build = reader
    if fields.keys() != names:
        raise FrameError(f"A {kind} frame has the keys {sorted(names)}, not {sorted(fields)[:20]}.")
    return build(fields)


def _refuse_constant(name: str) -> NoReturn:
    raise FrameError(f"A frame holds {name}, which is not a number.")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise FrameError("A frame names a key twice.")
    return fields


def _whole(value: Any, low: int = -MAX_INT, high: int = MAX_INT) -> int:
    if type(value) is not int or not low <= value <= high:
        raise FrameError(f"{str(value)[:40]!r} is not a whole number from {low} to {high}.")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not -MAX_NUMBER < value < MAX_NUMBER:
        raise FrameError(f"{str(value)[:40]!r} is not a finite number.")
    return float(value)


def _optional[T](value: Any, read: Callable[[Any], T]) -> T | None:
    return None if value is None else read(value)


def _text(value: Any, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest or "\x00" in value:
        raise FrameError(f"A text is missing, longer than {longest} characters, or holds a null character.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise FrameError("A text holds half of a character.") from None
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise FrameError("A list is missing.")
    return value


def _items(value: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    if not isinstance(value, str):
        raise FrameError("An array is missing.")
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise FrameError("An array is not base64.") from None
    if len(data) % dtype.itemsize:
        raise FrameError("An array ends in the middle of an item.")
    return np.frombuffer(data, dtype)


def _array(value: Any, dtype: str) -> NDArray[Any]:
    numbers = _items(value, np.dtype(dtype))
    if np.isinf(numbers).any():
        raise FrameError("An array holds an infinite number.")
    return numbers


def _rows(value: Any) -> Rows:
    """Commands whose numbers are numbers; whether a run can have made them is the replay's question."""
    rows = _items(value, _WIRE_ROW)
    for name, dtype in _COLUMNS:
        column = rows[name]
        if dtype.kind == "b":
            is_good = column <= 1
        elif dtype.kind == "f":
            is_good = np.isnan(column) | (np.abs(column) < MAX_NUMBER)
        else:
            is_good = (column >= -MAX_INT) & (column <= MAX_INT)
        if not is_good.all():
            raise FrameError(f"An order row has an impossible {name}.")
    return rows.astype(COMMAND)


def _read_started(f: dict[str, Any]) -> Frame:
    return kinds.StartedFrame()


def _read_progress(f: dict[str, Any]) -> Frame:
    return kinds.ProgressFrame(_whole(f["i_bar"], -1), _whole(f["n_bars"], 0), _optional(f["equity"], _number))


def _read_orders(f: dict[str, Any]) -> Frame:
    return kinds.OrdersFrame(_rows(f["rows"]), tuple(_text(tag, kinds.MAX_TAG) for tag in _list(f["tags"])))


def _read_log(f: dict[str, Any]) -> Frame:
    return kinds.LogFrame(tuple(_log_line(line) for line in _list(f["lines"])))


def _log_line(value: Any) -> tuple[str, int, str]:
    if not isinstance(value, list) or len(value) != 3 or value[0] not in kinds.LOG_LEVELS:
        raise FrameError("A log line is not a level, a bar and a text.")
    return str(value[0]), _whole(value[1], -1), _text(value[2], kinds.MAX_LINE)


def _read_plot(f: dict[str, Any]) -> Frame:
    i_bar, values = _array(f["i_bar"], "<i4"), _array(f["values"], "<f8")
    if len(i_bar) != len(values) or (len(i_bar) and i_bar.min() < -1):
        raise FrameError("A plot's bars and values do not match.")
    return kinds.PlotFrame(_text(f["name"], kinds.MAX_NAME), _text(f["pane"], kinds.MAX_NAME), i_bar, values)


def _read_indicator(f: dict[str, Any]) -> Frame:
    return kinds.IndicatorFrame(
        _text(f["name"], kinds.MAX_NAME),
        _text(f["pane"], kinds.MAX_NAME),
        _whole(f["start"], 0),
        _array(f["values"], "<f4"),
    )


def _read_done(f: dict[str, Any]) -> Frame:
    ledger_hash = _text(f["ledger_hash"], 64)
    if len(ledger_hash) != 64 or not set(ledger_hash) <= set("0123456789abcdef"):
        raise FrameError("A ledger hash is not 64 hexadecimal digits.")
    return kinds.DoneFrame(ledger_hash, _whole(f["n_bars"], 0))


def _read_error(f: dict[str, Any]) -> Frame:
    if f["code"] not in kinds.ERROR_CODES:
        raise FrameError("An error has a code that does not exist.")
    return kinds.ErrorFrame(
        f["code"],
        _text(f["message"], kinds.MAX_LINE),
        _whole(f["line"], 0),
        _text(f["source_line"], kinds.MAX_LINE),
        _optional(f["bar_time_ms"], _whole),
        _text(f["traceback"], kinds.MAX_TRACEBACK),
    )


_READERS: dict[str, tuple[set[str], Callable[[dict[str, Any]], Frame]]] = {
    "STARTED": (set(), _read_started),
    "PROGRESS": ({"i_bar", "n_bars", "equity"}, _read_progress),
    "ORDERS": ({"rows", "tags"}, _read_orders),
    "LOG": ({"lines"}, _read_log),
    "PLOT": ({"name", "pane", "i_bar", "values"}, _read_plot),
    "INDICATOR": ({"name", "pane", "start", "values"}, _read_indicator),
    "DONE": ({"ledger_hash", "n_bars"}, _read_done),
    "ERROR": ({"code", "message", "line", "source_line", "bar_time_ms", "traceback"}, _read_error),
}
