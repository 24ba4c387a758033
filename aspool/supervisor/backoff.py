"""How long a dead worker's place stays empty before it is filled again. Values only."""

HEALTHY = 60.0  # seconds that a worker must live for its deaths before to be forgotten


class Backoff:
    """The waits of one place: `shortest` seconds, doubled with each death up to `longest`."""

    def __init__(self, shortest: float, longest: float) -> None:
        self._shortest = shortest
        self._longest = max(shortest, longest)
        self._next = shortest
        self.deaths = 0  # in a row

    def died(self, lived: float) -> float:
        """A worker has died after so many seconds: how many to wait."""
        if lived >= HEALTHY:
            self.forget()
        wait = min(self._next, self._longest)
        self._next = min(2 * wait, self._longest)
        self.deaths += 1
        return wait

    def forget(self) -> None:
        """All is well again."""
        self._next, self.deaths = self._shortest, 0
