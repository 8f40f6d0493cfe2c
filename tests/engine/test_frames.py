import base64
import contextlib
import itertools
import json
import math
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests.engine.errors import ResourceLimitError
from backtests.engine.frames import (
    MAX_FRAME_BYTES,
    DoneFrame,
    ErrorFrame,
    FrameDecoder,
    FrameError,
    FrameReporter,
    IndicatorFrame,
    LogFrame,
    OrdersFrame,
    PlotFrame,
    ProgressFrame,
    StartedFrame,
    TurnFrame,
    decode_frame,
    encode_frame,
)
from backtests.engine.frames.kinds import MAX_LINE
from backtests.engine.frames.wire import encode_rows, encode_turn
from backtests.engine.kernels.types import COMMAND
from backtests.engine.result import CommandLog

HASH = "0123456789abcdef" * 4
GOOD = {
    "PROGRESS": {"i_bar": 3, "n_bars": 10, "equity": 10_000.5},
    "ORDERS": {"rows": "", "tags": ["entry"]},
    "LOG": {"lines": [["info", 3, "a line"]]},
    "PLOT": {"name": "spread", "pane": "price", "i_bar": "AQAAAA==", "values": "AAAAAAAA8D8="},
    "INDICATOR": {"name": "SMA", "pane": "price", "start": 0, "values": "AACAPw=="},
    "DONE": {"ledger_hash": HASH, "n_bars": 10},
    "ERROR": {
        "code": "strategy_error",
        "message": "ZeroDivisionError",
        "line": 4,
        "source_line": "1 / 0",
        "bar_time_ms": None,
        "traceback": "",
    },
}


def frames_written(write, max_log_bytes=1_000_000):
    """What a reporter puts into its pipe, decoded."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    decoder, frames = FrameDecoder(), []

    class DrainedPipe(FrameReporter):
        def _send(self, frame):
            super()._send(frame)
            frames.extend(decoder.feed(os.read(read_fd, 1 << 20)))

    reporter = DrainedPipe(write_fd, max_log_bytes=max_log_bytes)
    write(reporter)
    reporter.flush()
    os.close(read_fd)
    os.close(write_fd)
    assert decoder.n_waiting == 0
    return frames


def some_commands(n):
    random = np.random.default_rng(1)
    rows = np.zeros(n, COMMAND)
    for name in COMMAND.names:
        if COMMAND[name].kind == "f":
            rows[name] = np.where(random.random(n) < 0.5, np.nan, random.normal(0, 1e5, n))
        elif COMMAND[name].kind == "b":
            rows[name] = random.random(n) < 0.5
        else:
            rows[name] = random.integers(-100, 100, n)
    return rows


@pytest.mark.parametrize("kind", GOOD)
def test_every_kind_of_frame_is_read_back(kind):
    frames = list(FrameDecoder().feed(encode_frame(kind, **GOOD[kind])))
    assert [type(frame).__name__.upper() for frame in frames] == [f"{kind}FRAME"]


@pytest.mark.parametrize("kind", GOOD)
def test_a_frame_with_a_key_more_or_less_is_refused(kind):
    with pytest.raises(FrameError, match="has the keys"):
        decode_frame(json.dumps({"kind": kind, **GOOD[kind], "more": 1}).encode())
    less = dict(GOOD[kind])
    less.popitem()
    with pytest.raises(FrameError, match="has the keys"):
        decode_frame(json.dumps({"kind": kind, **less}).encode())


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"kind":"PROGRESS"',
        b'{"kind":["PROGRESS"]}',
        b'{"kind":"SHELL","command":"ls"}',
        b'{"kind":"PROGRESS","kind":"PROGRESS","i_bar":1,"n_bars":1,"equity":1}',
        b'{"kind":"PROGRESS","i_bar":NaN,"n_bars":1,"equity":1}',
        b'{"kind":"PROGRESS","i_bar":1,"n_bars":1,"equity":Infinity}',
        b'{"kind":"PROGRESS","i_bar":1,"n_bars":1,"equity":1e999}',
        b'{"kind":"PROGRESS","i_bar":true,"n_bars":1,"equity":1}',
        b'{"kind":"PROGRESS","i_bar":1,"n_bars":1,"equity":false}',
        b'{"kind":"PROGRESS","i_bar":1.0,"n_bars":1,"equity":1}',
        b'{"kind":"PROGRESS","i_bar":-2,"n_bars":1,"equity":1}',
        b'{"kind":"PROGRESS","i_bar":9007199254740993,"n_bars":1,"equity":1}',
        b'{"kind":"LOG","lines":[["shout",1,"x"]]}',
        b'{"kind":"LOG","lines":[["info",1,"\\ud800"]]}',
        b'{"kind":"LOG","lines":[["info",1,"\\u0000"]]}',
        b'{"kind":"LOG","lines":[["info",1,"%s"]]}' % (b"x" * (MAX_LINE + 1)),
        b'{"kind":"DONE","ledger_hash":"%s","n_bars":1}' % (b"g" * 64),
        b'{"kind":"INDICATOR","name":"x","pane":"","start":0,"values":"AAA"}',
        b'{"kind":"INDICATOR","name":"x","pane":"","start":0,"values":"AACAfw=="}',  # infinity
        b'{"kind":"PLOT","name":"x","pane":"","i_bar":"AQAAAA==","values":""}',
        b'{"kind":"ORDERS","rows":[[1]],"tags":[]}',
        b'{"kind":"ORDERS","rows":"AQ==","tags":[]}',
        b'{"kind":"ORDERS","rows":"no base64","tags":[]}',
        b'{"kind":"ERROR","code":"won","message":"","line":0,"source_line":"","bar_time_ms":null,"traceback":""}',
        b"[" * 60_000,
        b'{"kind":"PROGRESS","i_bar":%s,"n_bars":1,"equity":1}' % (b"9" * 10_000),
        b"\xff\xfe",
    ],
    ids=lambda payload: payload[:60],
)
def test_a_bad_frame_is_refused(payload):
    with pytest.raises(FrameError):
        decode_frame(payload)


@pytest.mark.parametrize(
    ("column", "value"),
    [("size", np.inf), ("leverage", -np.inf), ("limit_price", 1e300), ("i_bar", 2**53 + 1), ("order_id", -(2**60))],
)
def test_an_order_row_with_an_impossible_number_is_refused(column, value):
    rows = np.zeros(2, COMMAND)
    frame = {"kind": "ORDERS", "tags": []}
    decode_frame(json.dumps({**frame, "rows": encode_rows(rows)}).encode())
    rows[column][1] = value
    with pytest.raises(FrameError, match=column):
        decode_frame(json.dumps({**frame, "rows": encode_rows(rows)}).encode())


def test_a_flag_that_is_neither_true_nor_false_is_refused():
    data = bytearray(np.zeros(1, COMMAND).tobytes())
    data[COMMAND.fields["is_post_only"][1]] = 2
    payload = {"kind": "ORDERS", "rows": base64.b64encode(bytes(data)).decode(), "tags": []}
    with pytest.raises(FrameError, match="is_post_only"):
        decode_frame(json.dumps(payload).encode())


@pytest.mark.parametrize("length", [MAX_FRAME_BYTES + 1, 2**32 - 1])
def test_a_frame_of_an_impossible_length_is_refused_before_it_comes(length):
    with pytest.raises(FrameError, match="bytes long"):
        list(FrameDecoder().feed(length.to_bytes(4, "big")))


def test_a_turn_is_the_one_frame_without_a_length_and_comes_whole_however_it_is_cut():
    stream = encode_turn(b"abcd") + encode_frame("STARTED") + encode_turn(bytes(4))
    for step in (1, 3, 8, 100):
        decoder = FrameDecoder()
        pieces = [stream[i : i + step] for i in range(0, len(stream), step)]
        assert [frame for piece in pieces for frame in decoder.feed(piece)] == [
            TurnFrame(b"abcd"), StartedFrame(), TurnFrame(bytes(4)),
        ]  # fmt: skip


def test_the_writer_refuses_a_frame_that_the_decoder_would():
    with pytest.raises(FrameError, match="longer"):
        encode_frame("LOG", lines=[["info", 1, "x" * MAX_FRAME_BYTES]])


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 2_000), max_size=20))
def test_frames_come_out_the_same_however_the_stream_is_cut(cuts):
    stream = b"".join(encode_frame(kind, **fields) for kind, fields in GOOD.items())
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    decoder = FrameDecoder()
    kinds = [type(frame) for a, b in itertools.pairwise(edges) for frame in decoder.feed(stream[a:b])]
    assert kinds == [ProgressFrame, OrdersFrame, LogFrame, PlotFrame, IndicatorFrame, DoneFrame, ErrorFrame]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=500))
def test_the_decoder_raises_nothing_but_frame_errors_on_any_bytes(data):
    with contextlib.suppress(FrameError):
        list(FrameDecoder().feed(data))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=500, deadline=None)
@given(kind=st.sampled_from(list(GOOD)), data=st.data())
def test_the_decoder_raises_nothing_but_frame_errors_on_any_values(kind, data):
    fields = {name: data.draw(PLAIN | st.just(value), label=name) for name, value in GOOD[kind].items()}
    try:
        frame = decode_frame(json.dumps({"kind": kind, **fields}).encode())
    except FrameError:
        return
    assert type(frame).__name__.upper() == f"{kind}FRAME"


@settings(deadline=None)
@given(st.floats(allow_infinity=False, min_value=-1e299, max_value=1e299) | st.just(math.nan))
def test_a_float_of_a_command_survives_to_the_bit(number):
    rows = np.zeros(1, COMMAND)
    rows["size"] = number
    (frame,) = frames_written(lambda reporter: reporter.commands(CommandLog(rows)))
    assert frame.rows["size"].tobytes() == rows["size"].tobytes() or math.isnan(number)
    assert math.isnan(frame.rows["size"][0]) == math.isnan(number)


def test_a_command_log_crosses_the_pipe_unchanged():
    rows, tags = some_commands(1_000), tuple(f"tag {i}" for i in range(250))
    frames = frames_written(lambda reporter: reporter.commands(CommandLog(rows, tags)))
    came = np.concatenate([frame.rows for frame in frames])
    for name in COMMAND.names:
        np.testing.assert_array_equal(came[name], rows[name])
    assert sum((frame.tags for frame in frames), ()) == tags


def test_the_longest_values_still_fit_into_frames():
    rows = np.zeros(100, COMMAND)
    for name in COMMAND.names:
        rows[name] = -1.2345678901234567e-300 if COMMAND[name].kind == "f" else True
        if COMMAND[name].kind == "i":
            rows[name] = max(np.iinfo(COMMAND[name]).min, -(2**53))
    tags = tuple("\U0001f4c8" * 64 for _ in range(100))
    frames = frames_written(lambda reporter: reporter.commands(CommandLog(rows, tags)))
    assert sum(len(frame.rows) for frame in frames) == 100

    def write(reporter):
        for _ in range(50):
            reporter.log("info", 1, "\U0001f4c8" * MAX_LINE)
        for i in range(10_000):
            reporter.plot("\U0001f4c8" * 200, "pane", i, 1.5)
        reporter.error(ErrorFrame("internal", "\x01" * 9_999, 1, "\x01" * 9_999, None, "\x01" * 99_999))

    frames = frames_written(write)
    assert isinstance(frames[-1], ErrorFrame)


def test_lines_beyond_the_log_s_limit_are_refused():
    def write(reporter):
        for i in range(1_000):
            reporter.log("info", i, "x" * 60)
        with pytest.raises(ResourceLimitError, match="at most 100,000 bytes; this is 100,100"):
            reporter.log("info", 1_000, "x" * 60)

    lines = [line for frame in frames_written(write, 100_000) for line in frame.lines]
    assert len(lines) == 1_000


def test_progress_is_told_at_most_four_times_a_second():
    frames = frames_written(lambda reporter: [reporter.progress(i, 100, 1.0) for i in range(100)])
    assert [frame.i_bar for frame in frames] == [0]


def test_an_indicator_comes_in_pieces_that_fit():
    values = np.linspace(0, 1, 25_000)
    values[:3] = np.nan
    frames = frames_written(lambda reporter: reporter.indicator("SMA", "price", values))
    assert [frame.start for frame in frames] == [0, 10_000, 20_000]
    np.testing.assert_array_equal(np.concatenate([frame.values for frame in frames]), values.astype(np.float32))
