"""What comes before a worker's first run: the jail is proven, once for all workers, and a child is kept warm."""

import logging
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings

from backtests.operations.dispatcher import dispatch_quietly
from backtests.runner.jail.layers import NoJail, choose_layers, condemn, find_lack
from backtests.runner.jail.spare import keep_spare
from backtests.runner.probe import N_ATTACKS, Probe, probe_jail

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JailState:
    """What holds the strategies of a pool of workers: for the page of operations."""

    level: str  # full, inner, none; "refused": no strategy runs here
    fault: str = ""  # why not
    lack: str = ""  # what the machine lacks for more
    proven_at: str = ""  # ISO, UTC; empty: never
    took_s: float = 0.0
    n_attacks: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def prove_jail() -> JailState:
    """Called in the cluster's main process; its workers inherit what was found. On a machine that has not done so
    before, or with other code, it takes as long as the engine takes to compile. Where the jail does not hold, every run
    fails as `no_jail`.
    """
    try:
        layers = choose_layers()
    except NoJail as error:
        logger.error("No strategy runs here. %s", error)
        return JailState("refused", fault=str(error))
    if layers.level == "none":
        logger.warning("Strategies run without a jail (HINDSIGHT_JAIL=none): for one person on their own machine only.")
        return JailState("none", lack="A jail: HINDSIGHT_JAIL=none takes it away.")
    probe = probe_jail(layers, settings.KERNEL_CACHE, memory=settings.KERNEL_CACHE)
    if probe.fault:
        fault = f"Attacks got through the jail: {probe.fault}"
        condemn(fault)
        logger.critical("No strategy runs here. %s", fault)
        return _proven("refused", probe, fault=fault)
    logger.info("The jail holds; its level is %s.", layers.level)
    lack = "" if layers.level == "full" else find_lack("full") or "Nothing: HINDSIGHT_JAIL asks for this level."
    return _proven(layers.level, probe, lack=lack)


def _proven(level: str, probe: Probe, *, fault: str = "", lack: str = "") -> JailState:
    return JailState(level, fault, lack, probe.made_at, probe.took_s, N_ATTACKS)


def make_worker_ready(**_: Any) -> None:
    """Called in each worker process when it starts: it has a child of its own wait, and is free for whoever is next."""
    if settings.KEEPS_WARM_CHILD:
        try:
            keep_spare(choose_layers(), settings.KERNEL_CACHE)
        except NoJail:
            return  # it takes runs, to say why they fail
    dispatch_quietly()
