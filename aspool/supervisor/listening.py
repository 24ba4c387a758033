"""The listener beside the workers: it has their spools, and never the application."""

import logging
import re
from collections import Counter
from collections.abc import Iterable

from ..addresses import spool_at
from ..net.listener import Listener
from ..net.own_process import switch_quickly
from ..placing import named_spools
from ..protocol import Spool
from ..spooler import DEFAULT
from .supervisor import Supervisor

logger = logging.getLogger("aspool.supervisor")


async def keep_listening(listener: Listener, supervisor: Supervisor) -> None:
    """Put what comes into the spools of the settings, or else of the first worker that is ready, until cancelled."""
    spools = named_spools(supervisor.settings)
    switch_quickly()
    try:
        while not spools:
            ready = [process.state.ready for process in supervisor.claiming if process.state.ready]
            if ready:
                spools = called(ready[0].spools)
            else:
                await supervisor.changed()
        logger.info("tasks are taken on %s for %s", ", ".join(listener.addresses), next(iter(spools.values())).address)
        await listener.serve(spools)
    finally:
        listener.close()
        for spool in spools.values():
            await spool.aclose()


def called(addresses: Iterable[str]) -> dict[str, Spool]:
    """The spools at these addresses, the first of which is the default one, by the last part of each if it is alone."""
    found = list(addresses)
    names = [re.split(r"[/:]+", address.rstrip("/:"))[-1] for address in found]
    count = Counter(names)
    spools = [spool_at(address) for address in found]
    known = {name if count[name] == 1 else spool.address: spool for name, spool in zip(names, spools, strict=True)}
    return {DEFAULT: spools[0]} | known
