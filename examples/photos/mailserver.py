"""A real SMTP server on loopback that puts each mail into a Maildir: `python mailserver.py [PORT [DIRECTORY]]`."""

import asyncio
import sys
from pathlib import Path

from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP, Envelope, Session

THINKING = 0.1  # seconds: a real server looks at a mail before it takes it


class Postbox(Mailbox):
    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        await asyncio.sleep(THINKING)
        return await super().handle_DATA(server, session, envelope)


async def serve(port: str = "8025", directory: str = "mails") -> None:
    postbox = Postbox(Path(directory))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(postbox, hostname="localhost"), "127.0.0.1", int(port))
    real_port = server.sockets[0].getsockname()[1]
    print(f"the mail server listens on 127.0.0.1:{real_port}, the mails go to {directory}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(serve(*sys.argv[1:]))
    except KeyboardInterrupt:
        pass
