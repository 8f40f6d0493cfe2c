"""What a worker does before its first run: it proves its jail, and keeps a child warm."""

import logging
from typing import Any

from django.conf import settings

from backtests.runner.jail.layers import NoJail, choose_layers, condemn
from backtests.runner.jail.spare import keep_spare
from backtests.runner.probe import probe_jail

logger = logging.getLogger(__name__)


def make_worker_ready(**_: Any) -> None:
    """Called in each worker process when it starts. A worker whose jail does not hold fails its runs as `no_jail`."""
    try:
        layers = choose_layers()
    except NoJail as error:
        logger.error("No strategy runs here. %s", error)
        return
    if layers.level == "none":
        logger.warning("Strategies run without a jail (HINDSIGHT_JAIL=none): for one person on their own machine only.")
    else:
        probe = probe_jail(layers, settings.KERNEL_CACHE, memory=settings.KERNEL_CACHE)
        if probe.fault:
            condemn(f"Attacks got through the jail: {probe.fault}")
            logger.critical("No strategy runs here: attacks got through the jail: %s", probe.fault)
            return
        logger.info("The jail holds; its level is %s.", layers.level)
    if settings.KEEPS_WARM_CHILD:
        keep_spare(layers, settings.KERNEL_CACHE)
