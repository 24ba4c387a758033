"""The listener beside the workers: it has their spools, and never the application."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from anyio import CancelScope, create_task_group

from ..addresses import spool_at
from ..net.listener import Listener
from ..net.own_process import switch_quickly
from ..placing import named_spools
from ..protocol import Spool
from ..spooler import DEFAULT
from .supervisor import Supervisor

logger = logging.getLogger("aspool.supervisor")


async def keep_listening(listener: Listener, supervisor: Supervisor) -> None:
    """Put what comes into the spools of the settings, or else of the workers, until these are stopped, or cancelled."""
    spools = _Spools(supervisor)
    switch_quickly()
    try:
        await spools.follow()
        if not supervisor.is_stopping:
            logger.info("tasks are taken on %s for %s", ", ".join(listener.addresses), spools.first)
            await _serve(listener, spools)
    finally:
        listener.close()
        await spools.aclose()


async def _serve(listener: Listener, spools: "_Spools") -> None:
    async with create_task_group() as group:
        await group.start(listener.serve, spools.now)
        while await spools.follow():
            listener.use(spools.now)
            logger.info("tasks are taken for %s from now on", spools.first)
        group.cancel_scope.cancel()  # workers may drain for long: meanwhile nobody is made to wait at our door


class _Spools:
    """Of the settings; without any there those of the youngest worker: after a reload they may be others."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self.now = named_spools(supervisor.settings)
        self._are_given = bool(self.now)
        self._opened = list(self.now.values())
        self._addresses: Sequence[str] = ()

    @property
    def first(self) -> str:
        """The address of the default one, for people."""
        return next(iter(self.now.values())).address

    async def follow(self) -> bool:
        """Return when there are other spools than before; False once the supervisor is stopping."""
        if self._are_given and not self._addresses:
            self._addresses = [spool.address for spool in self._opened]
            return True
        while not self._supervisor.is_stopping:
            if not self._are_given and self._has_changed():
                return True
            await self._supervisor.changed()
        return False

    def _has_changed(self) -> bool:
        ready = [process.state.ready for process in self._supervisor.claiming if process.state.ready]
        if not ready or ready[-1].spools == self._addresses:
            return False
        self._addresses = ready[-1].spools
        self.now = called(self._addresses)
        self._opened += self.now.values()
        return True

    async def aclose(self) -> None:
        """All that there were: what was being received has ended with the old ones."""
        with CancelScope(shield=True):
            for spool in {id(spool): spool for spool in self._opened}.values():
                await spool.aclose()


def called(addresses: Iterable[str]) -> dict[str, Spool]:
    """The spools at these addresses, the first of which is the default one, by the last part of each if it is alone."""
    found = list(addresses)
    names = [re.split(r"[/:]+", address.rstrip("/:"))[-1] for address in found]
    count = Counter(names)
    spools = [spool_at(address) for address in found]
    known = {name if count[name] == 1 else spool.address: spool for name, spool in zip(names, spools, strict=True)}
    return {DEFAULT: spools[0]} | known
