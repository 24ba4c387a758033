"""Which variables of a request from a web server are kept: what somebody set by hand, and some of the others."""

import re
from collections.abc import Iterable, Mapping
from fnmatch import translate

HEADER = b"HTTP_"
STOCK = frozenset((  # the names of nginx's file uwsgi_params
    b"QUERY_STRING", b"REQUEST_METHOD", b"CONTENT_TYPE", b"CONTENT_LENGTH", b"REQUEST_URI", b"PATH_INFO",
    b"DOCUMENT_ROOT", b"SERVER_PROTOCOL", b"REQUEST_SCHEME", b"HTTPS", b"REMOTE_ADDR", b"REMOTE_PORT", b"SERVER_PORT",
    b"SERVER_NAME",
))  # fmt: skip
DEFAULT = ("REQUEST_METHOD", "REQUEST_URI", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "REMOTE_ADDR")
SECRETS = frozenset((b"HTTP_COOKIE", b"HTTP_AUTHORIZATION", b"HTTP_PROXY_AUTHORIZATION"))  # no pattern means these


class Keep:
    """What `keep` says; without anything, the names of DEFAULT. A variable that is set by hand is always kept."""

    def __init__(self, wanted: Iterable[str]) -> None:
        names = tuple(wanted) or DEFAULT
        self._exact = frozenset(name.encode() for name in names)
        patterns = [translate(name) for name in names if "*" in name]
        self._pattern = re.compile("|".join(patterns).encode()) if patterns else None

    def kept(self, variables: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Those that are stored."""
        return {name: value for name, value in variables.items() if self._is_kept(name)}

    def _is_kept(self, name: bytes) -> bool:
        is_by_hand = name not in STOCK and not name.startswith(HEADER)
        if is_by_hand or name in self._exact:
            return True
        return self._pattern is not None and name not in SECRETS and self._pattern.match(name) is not None
