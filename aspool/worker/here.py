"""Here: what a schedule with `target="workers"` runs in this worker: messages in a spool of its memory."""

import os
from collections import defaultdict
from dataclasses import replace

from .. import clock, firing
from ..cron import Cron
from ..message import Message
from ..outcomes import Outcome, PutOff
from ..protocol import PutsBlocking
from ..schedules import FileMonitor, Timer
from .entry import Entry


class Here:
    """The runs of one worker that no other has."""

    def __init__(self, spool: PutsBlocking) -> None:
        self.spool = spool
        self._worker = os.urandom(4).hex()  # each worker has another jitter
        # By the id of what waits or runs; schedules of one name in two spools have the same.
        self._running: defaultdict[str, list[Entry]] = defaultdict(list)

    def run(self, entry: Entry, moments: list[float]) -> None:
        """Run a schedule in this worker for these moments."""
        schedule, trigger, now = entry.record.schedule, entry.record.trigger, clock.now()
        if schedule.options.overlap == "skip":
            moments = self._not_overlapping(entry, moments)
        for moment in moments:
            jitter = firing.jitter_of(schedule, moment, self._worker) if isinstance(trigger, Timer | Cron) else 0.0
            message = firing.message_for(schedule, moment, now, firing.zone(trigger), jitter)
            self._running[message.id].append(entry)
            entry.running.add(message.id)
            self.spool.put_blocking([replace(message, unique=False)])

    def _not_overlapping(self, entry: Entry, moments: list[float]) -> list[float]:
        if not entry.running:
            return moments[-1:]
        if isinstance(entry.record.trigger, FileMonitor):  # the run that goes on may have read the file before
            entry.passed_over = moments[-1:] or entry.passed_over
        return []

    def ended(self, message: Message, outcome: Outcome) -> Entry | None:
        """A run has ended; whose it was. One that is put off is not over."""
        entries = self._running.get(message.id)
        if not entries:
            return None
        if isinstance(outcome, PutOff):
            return entries[0]
        entry = entries.pop(0)
        if not entries:
            del self._running[message.id]
        entry.running.discard(message.id)
        if entry.passed_over and not entry.running:
            moments, entry.passed_over = entry.passed_over, []
            self.run(entry, moments)
        return entry
