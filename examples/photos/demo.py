"""The whole service as real processes, with a worker that is killed in the middle: `make demo`.

It uploads photographs, signs people up, kills the worker while it works, starts another, and proves at the end
that every thumbnail was made and every mail arrived. Own photographs, eight or more: `python demo.py PHOTOGRAPH …`.
"""

import asyncio
import shutil
import subprocess
import sys
import time
from pathlib import Path

import photographs
from programs import Program, Programs, programs, until
from proof import arrived, contact_sheet, wrong_thumbnails
from traffic import Promised, make_traffic

from aspool import DirectorySpool

HERE = Path(__file__).parent
ASPOOL = str(Path(sys.executable).with_name("aspool"))
OUTPUT = Path("demo-output").absolute()
SPOOL, THUMBNAILS, MAILS = OUTPUT / "spool", OUTPUT / "thumbnails", OUTPUT / "mails"
SHEET = OUTPUT / "contact-sheet.png"
WIDTHS = (240, 100, 64, 40, 24)
FEWEST = 8  # photographs: with fewer the work would be done before anything could be killed
ENOUGH = 12  # thumbnails and mails that are done before the worker is killed
BEGAN = time.monotonic()


def say(text: str) -> None:
    print(f"{time.monotonic() - BEGAN:5.1f} s  {text}", flush=True)


def main(own: list[str]) -> int:
    if own and len(own) < FEWEST:
        sys.exit(f"{len(own)} photographs are too few to be interrupted: give {FEWEST} or more, or none")
    pictures = [Path(path).absolute() for path in own] or photographs.fetch(OUTPUT / "photographs")
    say(f"{len(pictures)} photographs, {sum(path.stat().st_size for path in pictures) / 1e6:.1f} MB")
    clean_up()
    promised = Promised()
    with programs(OUTPUT) as started:
        interrupted = asyncio.run(story(started, pictures, promised))
        stats()
        complaints = verdict(promised, interrupted)
    if leftover := [program.name for program in started.started if not program.leaves_nothing_behind]:
        complaints.append(f"processes survived: {', '.join(leftover)}")
    for complaint in complaints:
        print(f"WRONG: {complaint}")
    return 1 if complaints else 0


def clean_up() -> None:
    """Away with what an earlier run left, but for the photographs."""
    for directory in (SPOOL, THUMBNAILS, MAILS):
        shutil.rmtree(directory, ignore_errors=True)
    for file in [*OUTPUT.glob("*.log"), SHEET]:
        file.unlink(missing_ok=True)
    OUTPUT.mkdir(exist_ok=True)


async def story(started: Programs, pictures: list[Path], promised: Promised) -> set[str]:
    """From the first process to the last mail; the ids of what was interrupted."""
    post = started.start("mailserver", str(HERE / "mailserver.py"), "0", str(MAILS))
    smtp_port = await post.says(r"127\.0\.0\.1:(\d+)")
    web = started.start("web", "-m", "uvicorn", "--app-dir", str(HERE), "app:app", "--port", "0")
    address = await web.says(r"running on (http://\S+)")
    worker = start_worker(started, smtp_port)
    say(f"the mail server is on port {smtp_port}, the web application on {address}, the worker is process {worker.pid}")

    async with asyncio.TaskGroup() as group:
        traffic = group.create_task(make_traffic(address, pictures, WIDTHS, promised))
        interrupted = await kill_in_the_middle(worker)
        await traffic
    say(f"nobody works, but the web application took the rest: {len(promised.thumbnails)} uploads, "
        f"{len(promised.mails)} sign-ups; {sum(spool_counts().values())} messages are in the spool")  # fmt: skip

    worker = start_worker(started, smtp_port)
    say(f"another worker starts: process {worker.pid}")
    await until(lambda: is_complete(promised), "all is done", [worker, web, post])
    say("all is done")
    return interrupted


def start_worker(started: Programs, smtp_port: str) -> Program:
    arguments = (ASPOOL, "worker", "tasks:spooler", "--concurrency", "16", "--job-processes", "2")
    return started.start("worker", *arguments, PYTHONPATH=str(HERE), SMTP_PORT=smtp_port)


async def kill_in_the_middle(worker: Program) -> set[str]:
    """SIGKILL while thumbnails and mails are in hand and more wait. The ids of what it held."""
    held: set[str] = set()

    def is_in_the_middle() -> bool:
        nonlocal held
        refuse_the_dead()
        if count_done(THUMBNAILS) < ENOUGH or count_done(MAILS / "new") < ENOUGH:
            return False
        worker.freeze()  # so that what is seen is what is killed
        running = DirectorySpool(SPOOL).browse(frozenset({"running"}))
        held = {message.id for message in running}
        if {message.task for message in running} == {"tasks.thumbnail", "tasks.welcome"}:
            return True
        worker.thaw()
        return False

    await until(is_in_the_middle, "the worker is in the middle of its work", [worker])
    worker.kill()
    say(f"SIGKILL to the worker, in the middle of {len(held)} jobs, "
        f"with {count_done(THUMBNAILS)} thumbnails made and {count_done(MAILS / 'new')} mails sent")  # fmt: skip
    await until(lambda: worker.leaves_nothing_behind, "the children of the worker are gone too", [])
    return held


def count_done(directory: Path) -> int:
    return sum(1 for path in directory.glob("*") if path.suffix != ".part") if directory.exists() else 0


def spool_counts() -> dict[str, int]:
    """How many messages there are, by state; only states that have some."""
    return {state: count for state, count in DirectorySpool(SPOOL).counts().items() if count}


def refuse_the_dead() -> None:
    """No use waiting for what was given up."""
    for message in DirectorySpool(SPOOL).browse(frozenset({"dead", "corrupt"}), limit=1):
        raise RuntimeError(f"{message.task} {message.id} is {message.state}: {message.reason}")


def is_complete(promised: Promised) -> bool:
    refuse_the_dead()
    enough = count_done(THUMBNAILS) >= len(promised.thumbnails) and count_done(MAILS / "new") >= len(promised.mails)
    return enough and not spool_counts()


def stats() -> None:
    print(f"\n$ aspool stats -d {SPOOL}", flush=True)
    subprocess.run([ASPOOL, "stats", "-d", str(SPOOL)], check=True)
    print(flush=True)


def verdict(promised: Promised, interrupted: set[str]) -> list[str]:
    """The account, and what is wrong with it."""
    complaints = wrong_thumbnails(promised, THUMBNAILS)
    mails = arrived(MAILS)
    complaints += [f"the mail to {email} did not arrive" for id, email in promised.mails.items() if id not in mails]
    complaints += [f"nobody asked for the mail {id}" for id in mails.keys() - promised.mails.keys()]
    twice = {id for id, count in mails.items() if count > 1}
    complaints += [f"the mail {id} came {mails[id]} times, but was not interrupted" for id in twice - interrupted]
    complaints += [f"{count} messages in the spool are {state}" for state, count in spool_counts().items()]
    if not complaints:
        contact_sheet(promised, THUMBNAILS, SHEET)
        pictures = {path for path, _ in promised.thumbnails.values()}
        print(f"photographs   {len(pictures)}, uploaded in {len(WIDTHS)} widths each")
        print(f"thumbnails    {len(promised.thumbnails)}, none is missing; each resembles its own photograph the most")
        print(f"mails         {len(mails)} for {len(promised.mails)} sign-ups; {len(twice)} of them came twice")
        print(f"interrupted   {len(interrupted)} jobs by the SIGKILL; no mail came twice that was not among them")
        print(f"look at       {SHEET}")
    return complaints


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("interrupted; all processes were stopped")
