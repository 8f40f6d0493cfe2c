"""Strategies that take what they can: each must end with a reason that names it, and nobody else may notice."""

import os
from pathlib import Path

HEAD = "import ctypes, os, sys, threading, time\nfrom hindsight import Strategy\n\n\nclass Runaway(Strategy):\n"
LIMITS = {"run_wall_clock_s": 6, "run_memory_mb": 1024, "max_orders": 5_000, "max_plot_points": 100_000}
RUNAWAYS: dict[str, tuple[str, set[str]]] = {
    "endless loop": ("while True: pass", {"time_limit"}),
    "endless sleep": ("time.sleep(10**6)", {"time_limit"}),
    "memory, piece by piece": ("kept = []\nwhile True: kept.append(bytearray(10**6))", {"memory_limit"}),
    "memory, at once": ("bytearray(10**11)", {"memory_limit"}),
    "fork bomb": ("while True: os.fork()", {"strategy_error"}),
    "fork bomb that goes on": ("while True:\n    try: os.fork()\n    except OSError: pass", {"time_limit"}),
    "thread bomb": ("while True: threading.Thread(target=time.sleep, args=(99,)).start()", {"strategy_error"}),
    "processor, many threads": (
        "def burn():\n    while True: pass\n[threading.Thread(target=burn).start() for _ in range(8)]\nburn()",
        {"time_limit", "cpu_limit"},
    ),
    "output flood": ("while True: print('x' * 100_000)", {"output_limit"}),
    "log flood": ("for _ in range(50): self.log('x' * 10_000)", {"log_limit"}),
    "huge result: plots": ("for i in range(10**6): self.plot(f'line {i}', data.close)", {"plot_limit"}),
    "huge result: orders": ("while True: self.buy(0.001)", {"order_limit"}),
    "recursion": ("def again(): again()\nagain()", {"strategy_error"}),
    "a wild pointer": ("ctypes.string_at(0)", {"crashed"}),
    "leaves without a word": ("os._exit(0)", {"crashed"}),
}


def source_of(name: str) -> str:
    body = RUNAWAYS[name][0].replace("\n", "\n        ")
    return f"{HEAD}    def initialize(self):\n        pass\n\n    def on_data(self, data):\n        {body}\n"


def read_available_mb() -> int:
    """What programs can still have, by the kernel's own estimate."""
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    return int(line.split()[1]) // 1024


def count_tasks() -> int:
    """Processes and threads of the whole machine."""
    return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])


def read_resident_mb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
