"""Cache: `uwsgi.cache_*`, in the database that all processes of the program share; as large as the disk lets it be."""

from collections.abc import Callable

from ... import clock
from ..program import Program
from .database import Shared

_TABLE = """CREATE TABLE IF NOT EXISTS cache (
    cache TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, expires REAL, PRIMARY KEY (cache, key)
) WITHOUT ROWID"""
_INDEX = "CREATE INDEX IF NOT EXISTS cache_expires ON cache (expires) WHERE expires IS NOT NULL"
_GET = "SELECT value, expires FROM cache WHERE cache = ? AND key = ? AND (expires IS NULL OR expires > ?)"
_DELETE = "DELETE FROM cache WHERE cache = ? AND key = ? AND (expires IS NULL OR expires > ?)"
_PUT = """INSERT INTO cache VALUES (?, ?, ?, ?) ON CONFLICT (cache, key)
    DO UPDATE SET value = excluded.value, expires = excluded.expires"""
DEFAULT = "default"
_NUMBER = 8  # bytes of a number: the machine's own int64_t there
_WRAPS = 1 << 64


class Cache:
    """Keys and values are bytes, or str as UTF-8. `expires` is in seconds, 0: never. Caches differ by name.

    uWSGI keeps no empty key and no empty value; neither is kept here.
    """

    def __init__(self, program: Program) -> None:
        self._shared = Shared(program, _TABLE, _INDEX)

    # --- values --------------------------------------------------------------------------------------------------

    def cache_set(self, key: str | bytes, value: str | bytes, expires: float = 0, cache: str = DEFAULT) -> bool | None:
        """True; None if the key is there already."""
        return self._put(key, value, expires, cache, f"{_PUT} WHERE cache.expires <= ?", clock.now())

    def cache_update(
        self, key: str | bytes, value: str | bytes, expires: float = 0, cache: str = DEFAULT
    ) -> bool | None:
        """True, whether the key was there or not."""
        return self._put(key, value, expires, cache, _PUT)

    def _put(
        self, key: str | bytes, value: str | bytes, expires: float, cache: str, statement: str, *more: float
    ) -> bool | None:
        wanted, data, now = _bytes(key), _bytes(value), clock.now()
        _check_local(cache)
        if not wanted or not data:
            return None
        with self._shared.connection() as connection:
            connection.execute("DELETE FROM cache WHERE expires <= ?", (now,))
            done = connection.execute(statement, (cache, wanted, data, now + expires if expires > 0 else None, *more))
            return True if done.rowcount > 0 else None

    def cache_get(self, key: str | bytes, cache: str = DEFAULT) -> bytes | None:
        """The value, or None."""
        _check_local(cache)
        with self._shared.connection() as connection:
            row = connection.execute(_GET, (cache, _bytes(key), clock.now())).fetchone()
        return None if row is None else bytes(row[0])

    def cache_exists(self, key: str | bytes, cache: str = DEFAULT) -> bool | None:
        """True or None."""
        return None if self.cache_get(key, cache) is None else True

    def cache_del(self, key: str | bytes, cache: str = DEFAULT) -> bool | None:
        """True; None if the key was not there."""
        _check_local(cache)
        with self._shared.connection() as connection:
            done = connection.execute(_DELETE, (cache, _bytes(key), clock.now()))
            return True if done.rowcount > 0 else None

    def cache_clear(self, cache: str = DEFAULT) -> bool:
        """Remove all keys of one cache: True."""
        _check_local(cache)
        with self._shared.connection() as connection:
            connection.execute("DELETE FROM cache WHERE cache = ?", (cache,))
        return True

    def cache_keys(self, cache: str = DEFAULT) -> list[bytes]:
        """All keys of one cache."""
        _check_local(cache)
        with self._shared.connection() as connection:
            rows = connection.execute(
                "SELECT key FROM cache WHERE cache = ? AND (expires IS NULL OR expires > ?)", (cache, clock.now())
            ).fetchall()
        return [bytes(row[0]) for row in rows]

    # --- numbers -------------------------------------------------------------------------------------------------

    def cache_num(self, key: str | bytes, cache: str = DEFAULT) -> int:
        """The number that is kept; 0 if there is none."""
        value = self.cache_get(key, cache)
        return _number(value) if value is not None and len(value) == _NUMBER else 0

    def cache_inc(self, key: str | bytes, by: int = 1, expires: float = 0, cache: str = DEFAULT) -> bool:
        """Add to a number, which begins with 0, in one step: True."""
        return self._changed(key, expires, cache, lambda number: number + by)

    def cache_dec(self, key: str | bytes, by: int = 1, expires: float = 0, cache: str = DEFAULT) -> bool:
        """Subtract from a number."""
        return self._changed(key, expires, cache, lambda number: number - by)

    def cache_mul(self, key: str | bytes, by: int = 2, expires: float = 0, cache: str = DEFAULT) -> bool:
        """Multiply a number."""
        return self._changed(key, expires, cache, lambda number: number * by)

    def cache_div(self, key: str | bytes, by: int = 2, expires: float = 0, cache: str = DEFAULT) -> bool:
        """Divide a number, as C does; by 0 it is 0 (uwsgi_cache_set2)."""
        return self._changed(key, expires, cache, lambda number: _divided(number, by))

    def _changed(self, key: str | bytes, expires: float, cache: str, change: Callable[[int], int]) -> bool:
        """A number keeps the moment at which it expires."""
        wanted, now = _bytes(key), clock.now()
        _check_local(cache)
        with self._shared.transaction() as connection:
            row = connection.execute(_GET, (cache, wanted, now)).fetchone()
            before, until = (b"", now + expires if expires > 0 else None) if row is None else row
            number = change(_number(before)) % _WRAPS
            connection.execute(_PUT, (cache, wanted, number.to_bytes(_NUMBER, "little"), until))
        return True


def _bytes(text: str | bytes) -> bytes:
    if isinstance(text, str):
        return text.encode()
    if not isinstance(text, bytes | bytearray | memoryview):
        raise TypeError(f"a bytes-like object is required, not '{type(text).__name__}'")
    return bytes(text)


def _number(value: bytes) -> int:
    return int.from_bytes(value[:_NUMBER].ljust(_NUMBER, b"\0"), "little", signed=True)


def _divided(number: int, by: int) -> int:
    if by == 0:
        return 0
    found = abs(number) // abs(by)
    return found if (number < 0) == (by < 0) else -found


def _check_local(cache: str) -> None:
    if "@" in cache:
        raise NotImplementedError(
            f"the cache {cache} is that of another server, and aspool asks none: use Redis, or memcached, by its own "
            "library"
        )
