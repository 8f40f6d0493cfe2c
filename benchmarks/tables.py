"""The measurements as a table, as text and as Markdown, and the goals beside what was reached."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.jobs import BACKTESTING, CALLBACK, FLOOR, TARGETS, VECTORBT, Entrant
from benchmarks.race import Measurement

OURS_FOR = {BACKTESTING: CALLBACK, VECTORBT: TARGETS, FLOOR: CALLBACK}
LEFT_COLUMNS = 5  # the rest are numbers
HEADINGS = (
    *("work", "engine", "version", "api", "fill", "first CPU s", "CPU s", "x ours", "peak MB"),
    *("bars", "trades", "final equity", "combinations / CPU s"),
)


def rows_of(measurements: Sequence[Measurement]) -> list[tuple[str, ...]]:
    """One row of text per timed measurement, in the order of HEADINGS."""
    found = {(m.job.work.name, m.job.entrant): m for m in measurements}
    rows: list[tuple[str, ...]] = []
    for m in measurements:
        entrant = m.job.entrant
        if not entrant.is_timed:
            continue
        ours = found.get((m.job.work.name, OURS_FOR.get(entrant, entrant)))
        ratio = f"{m.ratio_to(ours):.2f}" if ours is not None and ours is not m else ""
        row = [m.job.work.name, entrant.engine, m.version, entrant.api, entrant.fill, f"{m.first_cpu_s:.3f}"]
        row += [f"{m.median_cpu_s:.4f}", ratio, f"{m.rss_mb:.0f}", f"{m.job.work.n_bars:,}"]
        row += ["", ""] if entrant is FLOOR else [f"{m.n_trades:,}", f"{m.final_equity:,.2f}"]
        rows.append((*row, f"{m.combinations_per_s:,.0f}" if m.job.work.pairs else ""))
    return rows


def text_table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in (HEADINGS, *rows)) for i in range(len(HEADINGS))]
    lines = []
    for row in (HEADINGS, *rows):
        cells = [
            cell.ljust(w) if i < LEFT_COLUMNS else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    rule = ["---" if i < left else "---:" for i in range(len(headings))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (headings, rule, *rows))


@dataclass(frozen=True)
class Goal:
    """A bound on a number that is computed from the measurements; None where they lack what it needs."""

    title: str
    reached: float | None
    bound: float
    is_at_least: bool
    unit: str = "x"

    @property
    def is_met(self) -> bool:
        return self.reached is not None and (
            self.reached >= self.bound if self.is_at_least else self.reached <= self.bound
        )

    def to_row(self) -> tuple[str, ...]:
        reached = "not measured" if self.reached is None else f"{self.reached:,.2f} {self.unit}"
        state = "" if self.reached is None else "met" if self.is_met else "missed"
        return (
            self.title,
            f"{'at least' if self.is_at_least else 'at most'} {self.bound:g} {self.unit}",
            reached,
            state,
        )


GOAL_HEADINGS = ("goal", "bound", "reached", "")


def goals_of(measurements: Sequence[Measurement], fresh_s: Sequence[float] = ()) -> list[Goal]:
    """fresh_s: CPU seconds of two runs of ours after the set-up, each a process of its own."""
    found = {(m.job.work.name, m.job.entrant): m for m in measurements}

    def ratio(work: str, over: Entrant, under: Entrant) -> float | None:
        top, bottom = found.get((work, over)), found.get((work, under))
        return top.ratio_to(bottom) if top and bottom else None

    def again(work: str, entrant: Entrant) -> float | None:
        m = found.get((work, entrant))
        return m.first_cpu_s / m.cpu_s[0] if m and m.cpu_s else None

    ours = [m for m in measurements if m.job.entrant in (CALLBACK, TARGETS)]
    years = [m.rss_mb for m in ours if not m.job.work.pairs and m.job.work.n_bars > 500_000]
    sweeps = [m.rss_mb for m in ours if m.job.work.pairs]
    fresh = fresh_s[0] / fresh_s[1] if fresh_s else None
    return [
        Goal("W2 callback against backtesting.py", ratio("W2", BACKTESTING, CALLBACK), 10, is_at_least=True),
        Goal("W2 targets against vectorbt", ratio("W2", VECTORBT, TARGETS), 4, is_at_least=True),
        Goal("W3 callback against backtesting.py", ratio("W3", BACKTESTING, CALLBACK), 10, is_at_least=True),
        Goal("W3 callback against the empty loop", ratio("W3", CALLBACK, FLOOR), 3, is_at_least=False),
        Goal("W4 sweep against vectorbt", ratio("W4", VECTORBT, TARGETS), 25, is_at_least=True),
        Goal("W4 sweep, peak memory", max(sweeps, default=None), 500, is_at_least=False, unit="MB"),
        Goal("W5 callback against backtesting.py", ratio("W5", BACKTESTING, CALLBACK), 10, is_at_least=True),
        Goal("W5 targets against vectorbt", ratio("W5", VECTORBT, TARGETS), 2, is_at_least=True),
        Goal("a year of 1m, peak memory", max(years, default=None), 400, is_at_least=False, unit="MB"),
        Goal("first run after set-up against the second, a process each", fresh, 2, is_at_least=False),
        Goal("first run of a process against its second, W2 callback", again("W2", CALLBACK), 2, is_at_least=False),
    ]


def describe_machine() -> str:
    """Processor, cores, Python, and how busy the machine is: what the seconds depend on."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    load = os.getloadavg()[0]
    python = platform.python_version()
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}, Python {python}, load average {load:.1f}"
