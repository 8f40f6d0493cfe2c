"""What the process of every engine does: read its job, then run it once for each line that comes in.

Plain Python: in the peers' environments nothing else of ours can be imported.
"""

import gc
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Job = dict[str, Any]
Answer = dict[str, Any]  # "n_trades", "final_equity", and what else there is to say


def serve(engine_version: str, prepare: Callable[[Job], Callable[[], Any]], describe: Callable[[Any], Answer]) -> None:
    """Read the job named by the first argument; answer each line of the input with one run as a line of JSON.

    prepare: loads the series and returns the work that is timed. describe: turns its result into numbers, untimed.
    """
    job: Job = json.loads(Path(sys.argv[1]).read_text())
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an engine prints must not end up among the answers
    work = prepare(job)
    for _ in sys.stdin:
        gc.collect()
        started = cpu_seconds()
        result = work()
        cpu_s = cpu_seconds() - started
        row = {"version": engine_version, "cpu_s": cpu_s, "rss_mb": peak_megabytes(), **describe(result)}
        answers.write(json.dumps(row) + "\n")
        answers.flush()
        del result


def cpu_seconds() -> float:
    """User and system time of this process and of its ended children."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_megabytes() -> float:
    """The most memory that this program has held. (ru_maxrss also knows the process that started it.)"""
    status = Path("/proc/self/status")
    if status.exists():
        words = next(line.split() for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(words[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
