"""The two tasks of the photo service, and the spooler that the web application and the worker share."""

import os
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
from PIL import Image, ImageOps

from aspool import Body, Job, Spooler

THUMBNAILS = Path("thumbnails")
SMTP_PORT = int(os.environ.get("SMTP_PORT", "8025"))

spooler = Spooler("./spool")


# In a process of its own: decoding takes a processor, and a decoder that crashes takes no neighbour with it.
@spooler.task(executor="process", retries=2, harakiri=60)
def thumbnail(job: Job, photograph: Body, width: int) -> None:
    with Image.open(photograph.file) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    small = upright.resize((width, max(1, round(upright.height * width / upright.width))))
    # The task may be killed at any line and run again: the name is the message's, and a rename is all or nothing.
    THUMBNAILS.mkdir(exist_ok=True)
    unfinished = THUMBNAILS / f"{job.id}.part"
    small.save(unfinished, "JPEG", quality=88)
    unfinished.rename(THUMBNAILS / f"{job.id}.jpg")


@spooler.task(retries=8, backoff=0.5, harakiri=30)
async def welcome(job: Job, name: str, email: str) -> None:
    mail = EmailMessage()
    mail["From"] = "Photos <photos@example.org>"
    mail["To"] = email
    mail["Subject"] = f"Welcome, {name}"
    # The same at each attempt: "at least once" means that a mail may go out twice, and this is how to tell.
    mail["Message-ID"] = f"<{job.id}@photos.example.org>"
    mail.set_content(f"Dear {name},\n\nsend us your photographs!\n")
    await aiosmtplib.send(mail, hostname="127.0.0.1", port=SMTP_PORT)
