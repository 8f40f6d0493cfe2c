"""What comes before a worker's first run: the jail is proven, once for all workers, and a child is kept warm."""

import logging
from typing import Any

from django.conf import settings

from backtests.operations.dispatcher import dispatch_quietly
from backtests.runner.jail.layers import NoJail, choose_layers, condemn
from backtests.runner.jail.spare import keep_spare
from backtests.runner.probe import probe_jail

logger = logging.getLogger(__name__)


def prove_jail() -> None:
    """Called in the cluster's main process; its workers inherit what was found. On a machine that has not done so
    before, or with other code, it takes as long as the engine takes to compile. Where the jail does not hold, every run
    fails as `no_jail`.
    """
    try:
        layers = choose_layers()
    except NoJail as error:
        logger.error("No strategy runs here. %s", error)
        return
    if layers.level == "none":
        logger.warning("Strategies run without a jail (HINDSIGHT_JAIL=none): for one person on their own machine only.")
        return
    probe = probe_jail(layers, settings.KERNEL_CACHE, memory=settings.KERNEL_CACHE)
    if probe.fault:
        condemn(f"Attacks got through the jail: {probe.fault}")
        logger.critical("No strategy runs here: attacks got through the jail: %s", probe.fault)
    else:
        logger.info("The jail holds; its level is %s.", layers.level)


def make_worker_ready(**_: Any) -> None:
    """Called in each worker process when it starts: it has a child of its own wait, and is free for whoever is next."""
    if settings.KEEPS_WARM_CHILD:
        try:
            keep_spare(choose_layers(), settings.KERNEL_CACHE)
        except NoJail:
            return  # it takes runs, to say why they fail
    dispatch_quietly()
