"""What a child has used so far, read from outside: it is asked for nothing."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Usage:
    """Since its start: processor seconds of all threads, and the most memory that it held at once."""

    cpu_s: float = 0.0
    peak_memory_mb: float = 0.0


def read_usage(pid: int) -> Usage | None:
    """None when there is no such process (any more)."""
    with suppress(OSError, ValueError, IndexError):
        # After the name in brackets, which may hold anything: state is the third field, utime and stime 14 and 15.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return Usage(ticks / os.sysconf("SC_CLK_TCK"), int(line.split()[1]) / 1024)
    return None
