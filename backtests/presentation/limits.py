"""The limits of a run, in words."""

from collections.abc import Mapping

# Of engine.request.RUN_LIMITS: what is limited, and its unit.
LIMIT_NAMES = {
    "run_wall_clock_s": ("Wall clock", "s"),
    "run_cpu_s": ("Processor time", "s"),
    "run_memory_mb": ("Memory beside the libraries", "MB"),
    "max_orders": ("Orders", ""),
    "max_log_bytes": ("Log", "bytes"),
    "max_plot_points": ("Plotted points", ""),
    "max_output_bytes": ("Printed output", "bytes"),
}


def say_limits(limits: Mapping[str, int]) -> str:
    """Wall clock 30 s, orders 100; empty where there is none."""
    return ", ".join(
        f"{label.lower() if i else label} {limits[name]:,} {unit}".rstrip()
        for i, (name, (label, unit)) in enumerate((name, LIMIT_NAMES[name]) for name in LIMIT_NAMES if name in limits)
    )
