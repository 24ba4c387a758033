"""A program that opens very many connections at once, most of which say nothing, or nonsense; it keeps all of them.

`python flooding.py PORT NUMBER`: it prints "up" when all have been tried, and leaves when its input ends.
"""

import os
import resource
import select
import socket
import sys

WEB = {b"REQUEST_METHOD": b"POST", b"CONTENT_LENGTH": b"100000", b"job": b"never"}


def said(number: int) -> bytes:
    """What one of them says: half of all nothing, the others something that is no whole request."""
    if number % 2 == 0:
        return b""
    pairs = b"".join(len(part).to_bytes(2, "little") + part for pair in WEB.items() for part in pair)
    return (
        os.urandom(64),
        b"\x11\xff\xff\0half a packet",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x11" + len(pairs).to_bytes(2, "little") + b"\0" + pairs,  # and its body never comes
        b"\x11\x05\0\0abcde",
    )[number // 2 % 5]


def _send(made: socket.socket, words: bytes) -> None:
    connected = select.poll()
    connected.register(made, select.POLLOUT)
    if words and connected.poll(1000):
        try:
            made.send(words)
        except OSError:
            pass  # it has been closed already


def main(port: int, number: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sockets = []
    for each in range(number):
        made = socket.socket()
        made.setblocking(False)
        made.connect_ex(("127.0.0.1", port))
        sockets.append((made, said(each)))
    for made, words in sockets:
        _send(made, words)
    print("up", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
