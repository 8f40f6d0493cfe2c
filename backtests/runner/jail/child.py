"""One child: started with nothing but the engine, given one job, ended with everything it started."""

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from backtests.engine.confinement import count_tasks_of, outer_filter
from backtests.engine.frames import ChildJob, job_chunks, table_bytes
from backtests.runner.dealer import Dealer
from backtests.runner.jail.command import bubblewrap_command, child_command, child_environment, find_trees
from backtests.runner.jail.job_file import JobFile
from backtests.runner.jail.layers import Layers, give_uid

MAX_TASKS = 16  # threads of one child
START_PATIENCE_S = 10.0  # until bubblewrap has said what it started
BUBBLEWRAP_SIGNAL = 128  # its exit code when a signal ended the child: this and the signal's number


@dataclass(eq=False)
class Child:
    """A running child: its frames and what it prints as open pipes, both non-blocking.

    `layers` are those around it; `uid` is its user where it has one of its own. Started without a job it imports what
    runs need, and waits.
    """

    process: subprocess.Popen[bytes]
    frames: IO[bytes]
    output: IO[bytes]
    layers: Layers
    uid: int | None
    cache_dir: Path
    _job_file: JobFile
    _control: int
    _info: int | None = None
    _init: tuple[int, int] | None = None  # number and descriptor of the namespace's first process

    def hand_over(self, job: ChildJob) -> None:
        """Give it the one job that it will ever do. Raises OSError when it is gone."""
        self._job_file.fill(job_chunks(job))
        self._start_job()
        os.close(self._control)
        self._control = -1

    def hand_over_sealed(self, job: ChildJob, dealer: Dealer) -> None:
        """Give it a job whose bars come one by one, with `ring`. Raises OSError when it is gone."""
        dealer.open(*self._job_file.fill_and_share(job_chunks(job), table_bytes(dealer.shape)))
        self._start_job()

    def ring(self, token: bytes) -> None:
        """The next bar has been shown. Raises OSError when the child is gone."""
        os.write(self._control, token)

    def _start_job(self) -> None:
        self._job_file.close()
        os.write(self._control, b".")

    def is_alive(self) -> bool:
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def find_pid(self) -> int | None:
        """The number of the Python process itself, as we see it; None while there is none."""
        if not self.layers.has_bubblewrap:
            return self.process.pid
        self._meet_init()
        if self._init is None:
            return None
        init_pid = self._init[0]
        with suppress(OSError, ValueError, IndexError):
            return int(Path(f"/proc/{init_pid}/task/{init_pid}/children").read_text().split()[0])
        return None

    def ask_where(self) -> None:
        """It writes the line on which it stands into its output, even out of an endless loop (faulthandler)."""
        if (pid := self.find_pid()) is not None:
            with suppress(OSError):
                os.kill(pid, signal.SIGUSR1)

    def kill(self) -> None:
        """End it and everything it has started. Safe until it is reaped: a zombie keeps its number."""
        if self.layers.has_bubblewrap:
            self._meet_init()
            if self._init is not None:
                # The kernel ends every process of the namespace with its first; bubblewrap then ends by itself.
                with suppress(OSError):
                    signal.pidfd_send_signal(self._init[1], signal.SIGKILL)
                    return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def reap(self) -> int:
        """Kill it, bury it, and say how it ended: an exit code, negative by a signal."""
        self.kill()
        _, status = os.waitpid(self.process.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if self.layers.has_bubblewrap and code > BUBBLEWRAP_SIGNAL:
            code = BUBBLEWRAP_SIGNAL - code
        self.process.returncode = code
        return code

    def close(self) -> None:
        """Reap it if nobody has, and give its descriptors back."""
        if self.process.returncode is None:
            self.reap()
        self._job_file.close()
        self.frames.close()
        self.output.close()
        open_fds = (self._control, self._info, self._init[1] if self._init else None)
        for fd in open_fds:
            if fd is not None and fd >= 0:
                os.close(fd)
        self._control, self._info, self._init = -1, None, None

    def _meet_init(self) -> None:
        """Learn from bubblewrap who the namespace's first process is. Waits only in a child's first milliseconds."""
        if self._init is not None or self._info is None:
            return
        said = b""
        give_up_at = time.monotonic() + START_PATIENCE_S
        while b"}" not in said and (left_s := give_up_at - time.monotonic()) > 0:
            if not select.select([self._info], [], [], left_s)[0] or not (piece := os.read(self._info, 4096)):
                break
            said += piece
        os.close(self._info)
        self._info = None
        with suppress(ValueError, KeyError, OSError):
            pid = int(json.loads(said)["child-pid"])
            self._init = pid, os.pidfd_open(pid)


def start_child(layers: Layers, cache_dir: Path) -> Child:
    """Start a child without a job. Raises OSError when the machine cannot.

    It ends when the thread that started it ends: start it from one that lives as long as the run.
    """
    uid = give_uid() if layers.uid is None else layers.uid
    trees = find_trees(layers, cache_dir)
    with ExitStack() as theirs, ExitStack() as ours:
        job_file = JobFile()
        ours.callback(job_file.close)
        theirs.callback(os.close, job_file.child_fd)
        frames_read, frames_write = _make_pipe(ours, theirs)
        control_write, control_read = _make_pipe(ours, theirs, writes=False)
        environment = child_environment(trees, is_elsewhere=layers.is_elsewhere)
        command = child_command(layers, trees, job_fd=job_file.child_fd, frames_fd=frames_write, uid=uid)
        given, info_read = [job_file.child_fd, frames_write], None
        if layers.has_bubblewrap:
            info_read, info_write = _make_pipe(ours, theirs)
            filter_fd = _write_filter()
            theirs.callback(os.close, filter_fd)
            command = bubblewrap_command(command, trees, environment, info_fd=info_write, filter_fd=filter_fd, uid=uid)
            given += [info_write, filter_fd]
        process = subprocess.Popen(  # noqa: S603
            command,
            stdin=control_read,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment,
            pass_fds=given,
            # bubblewrap makes a session inside. In ours, the kernel hangs up even one that was stopped before it could
            # ask to die with us.
            start_new_session=not layers.has_bubblewrap,
            process_group=0 if layers.has_bubblewrap else None,
        )
        ours.pop_all()
    assert process.stdout is not None
    os.set_blocking(frames_read, False)
    os.set_blocking(process.stdout.fileno(), False)
    frames = os.fdopen(frames_read, "rb", buffering=0)
    return Child(process, frames, process.stdout, layers, uid, cache_dir, job_file, control_write, info_read)


def max_tasks_of(child: Child) -> int:
    """The kernel counts the tasks of a user; where that user is not the child's alone, on top of the others'."""
    is_alone = child.uid is not None or child.layers.has_bubblewrap
    return MAX_TASKS if is_alone else count_tasks_of(os.geteuid()) + MAX_TASKS


def _make_pipe(ours: ExitStack, theirs: ExitStack, *, writes: bool = True) -> tuple[int, int]:
    """(our end, the child's end): the child writes into it, or reads. Its end is closed here after the start."""
    read, write = os.pipe()
    mine, its = (read, write) if writes else (write, read)
    ours.callback(os.close, mine)
    theirs.callback(os.close, its)
    return mine, its


def _write_filter() -> int:
    """A file with the outer filter's program, at its beginning."""
    with tempfile.TemporaryFile() as file:
        file.write(outer_filter())
        file.seek(0)
        return os.dup(file.fileno())
