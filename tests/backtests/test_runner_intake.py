"""What the parent takes from a child, frame by frame, and what it refuses."""

import base64

import numpy as np
import pytest

from accounts.quotas import Limits
from backtests.engine.frames import encode_frame
from backtests.engine.kernels.types import COMMAND
from backtests.runner import intake as limits_of_intake
from backtests.runner.intake import Intake, Violation

STEP_MS = 60_000
TIMELINE = 1_000_000_000_000 + STEP_MS * np.arange(10, dtype=np.int64)
NAN = np.nan
ROW = (3, 0, 1, 0, 0, 1, 1, 1.0, NAN, NAN, NAN, NAN, NAN, 1.0, False, False, 0, -1)
HASH = "0" * 64
DONE = encode_frame("DONE", ledger_hash=HASH, n_bars=10)


def array(values, dtype):
    return base64.b64encode(np.array(values, dtype).tobytes()).decode()


def orders(n):
    return array([ROW] * n, COMMAND)


def plot(name="x", i_bar=(1,), values=(2.0,)):
    return encode_frame("PLOT", name=name, pane="p", i_bar=array(i_bar, "<i4"), values=array(values, "<f8"))


def piece(start, values, name="x"):
    return encode_frame("INDICATOR", name=name, pane="p", start=start, values=array(values, "<f4"))


@pytest.fixture
def intake():
    return Intake(Limits(max_orders=5, max_log_bytes=1_000), TIMELINE, STEP_MS)


def test_what_comes_is_kept(intake):
    intake.feed(encode_frame("PROGRESS", i_bar=4, n_bars=10, equity=None))
    intake.feed(encode_frame("ORDERS", rows="", tags=["a"]) + encode_frame("ORDERS", rows=orders(2), tags=["b"]))
    intake.feed(encode_frame("LOG", lines=[["info", -1, "before"], ["error", 2, "at 2"]]))
    intake.feed(plot() + plot(i_bar=(-1, 9), values=(3.0, 4.0)))
    intake.feed(piece(0, [1, 2, 3, 4]) + piece(4, [5, 6, 7, 8, 9, 10]))
    intake.feed(DONE)
    assert (intake.progress.i_bar, intake.done.ledger_hash, intake.error) == (4, HASH, None)
    log = intake.command_log()
    assert (len(log.rows), log.tags) == (2, ("a", "b"))
    assert [(line.level, line.time_ms) for line in intake.log_lines()] == [("info", 0), ("error", int(TIMELINE[3]))]
    assert intake.log_tail(1) == ("2001-09-09 01:49 at 2",)
    (series,) = intake.plot_series()
    assert series.time_ms.tolist() == [TIMELINE[2], 0, TIMELINE[9] + STEP_MS]
    assert series.values.tolist() == [2, 3, 4]
    (line,) = intake.indicator_series(2, 3)
    assert line.values.tolist() == [3, 4, 5]


def test_nothing_at_all_is_an_empty_log(intake):
    assert len(intake.command_log().rows) == 0
    assert intake.plot_series() == intake.indicator_series(0, 10) == intake.log_lines() == ()


def test_an_indicator_that_did_not_come_whole_is_not_drawn(intake):
    intake.feed(piece(0, [1, 2]))
    assert intake.indicator_series(0, 10) == ()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff" * 10, "integrity"),
        (DONE + DONE, "integrity"),
        (DONE + encode_frame("LOG", lines=[]), "integrity"),
        (encode_frame("LOG", lines=[["info", 10, "beyond the last bar"]]), "integrity"),
        (plot(i_bar=(10,)), "integrity"),
        (piece(1, [1.0]), "integrity"),
        (piece(0, [1.0]) + piece(5, [1.0]), "integrity"),
        (piece(0, [1.0] * 11), "integrity"),
        (b"".join(piece(0, [1.0]) for _ in range(30)), "plot_limit"),
        (b"".join(plot(f"series {i}") for i in range(30)), "plot_limit"),
        (encode_frame("LOG", lines=[["info", 1, "x" * 1_000]] * 20), "log_limit"),
        (encode_frame("ORDERS", rows=orders(6), tags=[]), "order_limit"),
        (encode_frame("ORDERS", rows="", tags=["t"] * 6), "order_limit"),
    ],
)
def test_what_must_not_come_ends_the_run_with_a_named_cause(intake, data, code):
    with pytest.raises(Violation) as caught:
        intake.feed(data)
    assert caught.value.code == code


def test_plotted_points_are_bounded(intake, monkeypatch):
    intake = Intake(Limits(max_plot_points=3), TIMELINE, STEP_MS)
    intake.feed(plot(i_bar=(1, 2, 3), values=(1, 2, 3)))
    with pytest.raises(Violation, match="at most 3 points; this is 4"):
        intake.feed(plot())


def test_the_whole_stream_is_bounded(intake, monkeypatch):
    monkeypatch.setattr(limits_of_intake, "MAX_STREAM_BYTES", 200)
    with pytest.raises(Violation, match="A run may report"):
        intake.feed(encode_frame("PROGRESS", i_bar=1, n_bars=10, equity=1.0) * 10)
