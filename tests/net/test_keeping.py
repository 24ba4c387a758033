"""Which variables of a web server's request are kept."""

import pytest

from aspool.net.keeping import DEFAULT, SECRETS, STOCK, Keep

from .real_nginx import STOCK as OF_NGINX

ALL = {
    b"REQUEST_METHOD": b"POST", b"REQUEST_URI": b"/x", b"SERVER_NAME": b"n", b"HTTP_HOST": b"h", b"HTTP_X_ID": b"7",
    b"HTTP_COOKIE": b"c", b"HTTP_AUTHORIZATION": b"a", b"job": b"mail", b"at": b"1", b"X_OWN": b"o",
}  # fmt: skip
OWN = {b"job", b"at", b"X_OWN"}  # set by hand


@pytest.mark.parametrize(
    ("wanted", "others"),
    [
        ((), {b"REQUEST_METHOD", b"REQUEST_URI"}),
        (("SERVER_NAME",), {b"SERVER_NAME"}),
        (("HTTP_X_*",), {b"HTTP_X_ID"}),
        (("HTTP_*", "REQUEST_*"), {b"HTTP_HOST", b"HTTP_X_ID", b"REQUEST_METHOD", b"REQUEST_URI"}),
        (("*",), set(ALL) - OWN - SECRETS),
        (("*", "HTTP_COOKIE"), set(ALL) - OWN - {b"HTTP_AUTHORIZATION"}),
        (("HTTP_AUTHORIZATION",), {b"HTTP_AUTHORIZATION"}),
        (("nothing",), set()),
    ],
)
def test_keep(wanted: tuple[str, ...], others: set[bytes]) -> None:
    assert set(Keep(wanted).kept(ALL)) == OWN | others


def test_the_stock_names_are_those_of_nginx() -> None:
    assert {line.split()[0].encode() for line in OF_NGINX} == STOCK
    assert {name.encode() for name in DEFAULT} <= STOCK
