"""Where: the address of a remote spool, as a value. No I/O."""

import math
import os
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ...errors import CallError
from ...escape import safe

FORMS = "uwsgi://HOST:PORT, uwsgi://[IPV6]:PORT or uwsgi:///path/of/a.sock"
TIMEOUT = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Where:
    """A host and a port, or the path of a unix socket; how long an answer may take (seconds), and the secret's file."""

    host: str = ""
    port: int = 0
    path: str = ""
    timeout: float = TIMEOUT
    secret_file: str | None = None

    def __str__(self) -> str:
        """For people: without options, and without anything that moves a cursor."""
        if self.path:
            return f"uwsgi://{safe(self.path)}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"uwsgi://{safe(host)}:{self.port}"

    @classmethod
    def read(cls, address: str) -> Self:
        """Of a URL, in whose query `timeout` and `secret_file` may be. Raises CallError."""
        try:
            parts = urlsplit(address)
            found = cls._of_socket(parts) if parts.path not in ("", "/") else cls._of_host(parts)
        except ValueError as error:  # a port that is no number, a bracket that is not closed
            raise _refused(address, str(error)) from None
        if parts.scheme != "uwsgi" or not address.startswith("uwsgi://") or found is None:
            raise _refused(address)
        if parts.username is not None or parts.fragment:
            raise _refused(address, "it has neither a user nor a fragment")
        return found.with_options(address, dict(parse_qsl(parts.query, keep_blank_values=True)))

    @classmethod
    def _of_socket(cls, parts: SplitResult) -> Self | None:
        return None if parts.netloc else cls(path=unquote(parts.path))

    @classmethod
    def _of_host(cls, parts: SplitResult) -> Self | None:
        return cls(parts.hostname, parts.port) if parts.hostname and parts.port else None

    def with_options(self, address: str, options: dict[str, str]) -> Self:
        """The same with the options of a query. Raises CallError."""
        if unknown := options.keys() - {"timeout", "secret_file"}:
            raise CallError(f"{address} has an option {min(unknown)}; there are timeout and secret_file")
        changed = self
        if "timeout" in options:
            try:
                changed = replace(changed, timeout=checked_timeout(float(options["timeout"])))
            except ValueError:
                raise CallError(f"the timeout in {address} is no number of seconds") from None
        if options.get("secret_file"):
            changed = replace(changed, secret_file=os.path.abspath(options["secret_file"]))
        return changed


def checked_timeout(seconds: float) -> float:
    """How long to wait for an answer. Raises CallError."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        raise CallError(f"timeout is more than 0 seconds, not {seconds!r}")
    return float(seconds)


def _refused(address: str, why: str = "") -> CallError:
    return CallError(f"{safe(address)} is no address of a remote spool{f' ({why})' if why else ''}: write {FORMS}")
