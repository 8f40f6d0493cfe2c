"""Sealed runs through a real child: the same results, and nothing that a hostile one does with its turns helps it."""

import textwrap
from dataclasses import replace

import numpy as np
import pytest

from backtests.engine.request import RunMode
from backtests.runner.execute import execute
from tests.backtests.test_runner_execute import CROSS, make_job

PRELUDE = """
import ctypes, mmap, os, struct, sys
import numpy as np
"""


def seal(job, **limits):
    request = replace(job.request, mode=RunMode.SEALED)
    return replace(job, request=request, limits=replace(job.limits, **limits) if limits else job.limits)


def hostile(body, **fields):
    """A sealed job whose on_data is given; what it logs as PWNED must not be."""
    text = PRELUDE + "class Mine(Strategy):\n    def initialize(self): pass\n    def on_data(self, data):\n"
    source = text + textwrap.indent(textwrap.dedent(body).strip(), "        ") + "\n"
    return seal(make_job(source, n=80, **fields))


def test_a_sealed_run_in_a_child_gives_the_result_the_log_and_the_chart_of_the_draft():
    job = make_job(CROSS, params={"fast": 7})
    draft, sealed = execute(job), execute(seal(job))
    assert (draft.failure, sealed.failure) == (None, None)
    assert sealed.result.result_hash() == draft.result.result_hash()
    assert sealed.commands.rows.tobytes() == draft.commands.rows.tobytes()
    assert (sealed.commands.tags, sealed.log) == (draft.commands.tags, draft.log)
    assert len(draft.result.trades) > 3
    for ours, theirs in zip(sealed.plots, draft.plots, strict=True):
        np.testing.assert_array_equal(ours.values, theirs.values)
        np.testing.assert_array_equal(ours.time_ms, theirs.time_ms)
    for ours, theirs in zip(sealed.indicators, draft.indicators, strict=True):
        assert (ours.name, ours.pane) == (theirs.name, theirs.pane)
        np.testing.assert_array_equal(ours.values, theirs.values)


def test_no_price_of_a_bar_that_has_not_come_is_in_what_the_child_was_given():
    """All of the memory that both share is searched for the closes of this bar, the next and the last."""
    job = hostile("""
        if self.i_bar == 3:
            memory = self._session.account.open_ms
            while isinstance(memory, np.ndarray):
                memory = memory.base
            given = bytes(memory)
            self.log(str([given.find(struct.pack("d", float(text))) >= 0 for text in self.texts]))
    """)
    close = job.feed.symbols[0].bars.close
    texts = [str(float(close[30 + i])) for i in (3, 4, 49)]
    job = replace(job, source=job.source.replace("self.texts", repr(texts)))
    found = [execute(one).log[0].text for one in (job, replace(job, request=replace(job.request, mode=RunMode.DRAFT)))]
    assert found == ["[True, False, False]", "[True, True, True]"]


def test_the_table_can_be_neither_written_nor_resized_nor_mapped_for_writing():
    outcome = execute(
        hostile("""
        if self.i_bar:
            return
        column = self._session.account.table.market.last.close
        attacks = {"flag": lambda: setattr(column.flags, "writeable", True), "write": lambda: column.fill(1.0)}
        memory = column
        while isinstance(memory, np.ndarray):
            memory = memory.base
        memory = getattr(memory, "obj", memory)
        attacks["slice"] = lambda: memory.__setitem__(slice(0, 1), b"x")
        attacks["resize"] = lambda: memory.resize(2 * len(memory))
        n_files = 0
        for fd in range(32):
            try:
                is_file = os.fstat(fd).st_size > 4096 and not os.isatty(fd)
            except OSError:
                continue
            if is_file:
                n_files += 1
                for flags in (mmap.PROT_WRITE, mmap.PROT_READ | mmap.PROT_WRITE):
                    attacks[f"map {fd} {flags}"] = lambda fd=fd, flags=flags: mmap.mmap(fd, 4096, prot=flags)
                attacks[f"pwrite {fd}"] = lambda fd=fd: os.write(fd, b"x")
                attacks[f"shrink {fd}"] = lambda fd=fd: os.ftruncate(fd, 0)
                attacks[f"grow {fd}"] = lambda fd=fd: os.ftruncate(fd, 1 << 24)
                attacks[f"reopen {fd}"] = lambda fd=fd: os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        page = column.ctypes.data & ~4095
        def protect():
            if libc.mprotect(page, 4096, 3):
                raise OSError(ctypes.get_errno())
            ctypes.memset(column.ctypes.data, 1, 8)
        attacks["mprotect"] = protect
        for name, attack in attacks.items():
            try:
                attack()
            except (OSError, ValueError, TypeError, BufferError, SystemError):
                continue
            self.log(f"PWNED {name}")
        self.log(f"{n_files} files, {len(attacks)} attacks")
    """)
    )
    assert outcome.failure is None
    texts = [line.text for line in outcome.log]
    assert not [text for text in texts if text.startswith("PWNED")]
    assert texts == ["1 files, 11 attacks"]


ASK = "os.write(4, bytes(4) + {token})"
CHEATS = {
    "asks with a made-up token": (ASK.format(token="b'abcd'"), "asked for before the one before it was shown"),
    "asks twice in one breath": (
        "turns = sys._getframe(2).f_locals['turns']\nos.write(4, 2 * turns._question)",
        "asked for before the one before it was shown",
    ),
    "asks as if no bar had come yet": (
        ASK.format(token="bytes(4)"),
        "asked for before the one before it was shown",
    ),
    "orders for the bar to come": (
        "order = self.buy(notional=100)\n"
        "self._session.account._commands['i_bar'][self._session.account.n_commands - 1] += 1",
        "another bar than",
    ),
    "orders for a bar that has passed": (
        "if self.i_bar == 5:\n    order = self.buy(notional=100)\n"
        "    self._session.account._commands['i_bar'][self._session.account.n_commands - 1] -= 1",
        "another bar than",
    ),
    "orders after it has asked": (
        "turns = sys._getframe(2).f_locals['turns']\nos.write(4, turns._question)\nself.buy(notional=100)",
        None,
    ),
    "sends half a question": ("os.write(4, bytes(6))", None),
}


@pytest.mark.parametrize("name", CHEATS)
def test_a_child_that_cheats_with_its_turns_fails_as_integrity(name):
    body, said = CHEATS[name]
    outcome = execute(hostile(body))
    assert outcome.status == "failed"
    assert outcome.failure.code == "integrity"
    if said is not None:
        assert said in outcome.failure.message


def test_a_question_behind_the_last_bar_is_refused():
    job = hostile("pass")
    source = (
        job.source + "    def on_finish(self):\n        os.write(4, sys._getframe(3).f_locals['turns']._question)\n"
    )
    outcome = execute(replace(job, source=source))
    assert outcome.failure.code == "integrity"
    assert "behind the last one" in outcome.failure.message


def test_a_draft_that_asks_for_bars_is_refused():
    job = hostile("os.write(4, bytes(8))")
    outcome = execute(replace(job, request=replace(job.request, mode=RunMode.DRAFT)))
    assert outcome.failure.code == "integrity"


def test_a_child_that_says_it_is_done_before_the_last_bar_is_found_out():
    outcome = execute(
        hostile(
            "if self.i_bar == 9:\n    self.buy(notional=100)\n    self._session.account.n_bars = 0\n"
            "    sys._getframe(2).f_locals['account'].simulation.account['is_ruined'] = 1"
        )
    )
    assert outcome.failure.code == "integrity"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("while self.i_bar == 2: pass", "time_limit"),
        ("os.read(3, 4)", "time_limit"),  # takes the bell that it waits for itself
        ("os._exit(0) if self.i_bar == 2 else None", "crashed"),
        ("1 / (3 - self.i_bar)", "strategy_error"),
        ("x = bytearray(1 << 30)", "memory_limit"),
        ("self.log('x' * 1000)", "log_limit"),
        ("self.buy(notional=1); self.sell(notional=1)", "order_limit"),
        ("os.close(0); os.close(1); os.close(2); self.i_bar == 40 and 1 / 0", "strategy_error"),
    ],
)
def test_limits_and_errors_have_their_names_in_a_sealed_run_too(body, code):
    job = hostile(body)
    limits = {"run_wall_clock_s": 1} if code == "time_limit" else {}
    outcome = execute(seal(job, **limits, max_orders=40, max_log_bytes=20_000))
    assert outcome.failure is not None
    assert outcome.failure.code == code
    if code == "strategy_error":
        assert outcome.failure.bar_time_ms is not None


def test_a_sealed_run_tells_its_progress_and_ends_when_it_is_told_to():
    told = []

    def look(progress):
        told.append(progress)
        return progress.stage != "running" or progress.n_done < 2

    job = hostile("import time\ntime.sleep(0.1)")
    outcome = execute(job, on_progress=look)
    assert outcome.status == "cancelled"
    assert told[-1].n_total == 50
    assert told[-1].n_done < 40


def test_an_indicator_that_looks_ahead_fails_by_its_name():
    source = (
        "class S(Strategy):\n    def initialize(self):\n"
        "        self.indicator(lambda c: c.shift(-2), 'close', name='soon')\n    def on_data(self, data): pass\n"
    )
    outcome = execute(seal(make_job(source, n=60)))
    assert outcome.failure.code == "looks_ahead"
    assert outcome.failure.message.startswith("soon looks ahead: at the bar of 2025-01-0")
    assert (outcome.failure.line, outcome.failure.source_line[:14]) == (3, "self.indicator")
    assert outcome.failure.bar_time_ms is not None
