"""What the options of a spool may be, for every kind of spool."""

from ..errors import CallError


def checked_concurrency(concurrency: int | None, *, ordered: bool) -> int | None:
    """How many messages one worker runs at the same time. Raises CallError."""
    if concurrency is not None and (isinstance(concurrency, bool) or not isinstance(concurrency, int)):
        raise CallError(f"concurrency is a whole number from 1 on, or None for no limit; not {concurrency!r}")
    if concurrency is not None and concurrency < 1:
        raise CallError(
            f"concurrency is 1 or more, not {concurrency}: a spool that is only written to is external=True"
        )
    if ordered and concurrency not in (None, 1):
        raise CallError(f"an ordered spool runs one message at a time: concurrency={concurrency} cannot be had with it")
    return 1 if ordered else concurrency


def checked_bound(name: str, value: int) -> int:
    """How much a spool may hold, in messages or bytes. Raises CallError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CallError(f"{name} is a whole number from 1 on, or None for no bound; not {value!r}")
    return value
