"""Pools of workers as the page of operations shows them."""

import datetime as dt
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from backtests.models import WorkerPool
from backtests.presentation.numbers import format_seconds, format_time

_LEVELS = {
    "full": ("Full", "badge-ok", "bubblewrap's namespaces, and the kernel's own filters inside them"),
    "inner": ("Inner", "badge-warn", "the kernel's own filters alone; give these workers a container of their own"),
    "none": ("None", "badge-bad", "nothing: for one person on their own machine only"),
    "refused": ("No runs", "badge-bad", "every run ends as no_jail"),
}
_UNKNOWN = ("Getting ready", "badge-wait", "the jail is being proven")


@dataclass(frozen=True, slots=True)
class PoolRow:
    """One host's workers. They share what was found of the jail: it is proven once, before they are started."""

    host: str
    process: str
    n_workers: int
    level: str
    badge: str
    meaning: str
    proof: str
    proven_at: str
    took: str
    lack: str


def list_pools(pools: Iterable[WorkerPool]) -> list[PoolRow]:
    return [_row(pool) for pool in pools]


def _row(pool: WorkerPool) -> PoolRow:
    jail = pool.jail
    host, _, process = pool.name.rpartition(":")
    level, badge, meaning = _LEVELS.get(jail.get("level", ""), _UNKNOWN)
    proven_at, fault = jail.get("proven_at", ""), jail.get("fault", "")
    proof = fault or (f"{jail['n_attacks']} attacks, none got through" if proven_at else "")
    return PoolRow(
        host=host,
        process=process,
        n_workers=pool.n_workers,
        level=level,
        badge=badge,
        meaning=meaning,
        proof=proof,
        proven_at=_say_time(proven_at),
        took=format_seconds(jail["took_s"]) if proven_at else "",
        lack=jail.get("lack", ""),
    )


def _say_time(text: str) -> str:
    with suppress(ValueError):
        return format_time(round(dt.datetime.fromisoformat(text).timestamp() * 1000))
    return ""
