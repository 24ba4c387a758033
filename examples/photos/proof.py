"""Proof that what was promised has happened: each thumbnail is looked at, each mail is counted."""

import mailbox
from collections import Counter
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageOps, ImageStat
from traffic import Promised

GAP, LABEL, COLUMNS = 4, 20, 4


def wrong_thumbnails(promised: Promised, directory: Path) -> list[str]:
    """What is missing, of another size, or resembles another photograph more than its own."""
    essences = {path: _essence(path) for path, _ in promised.thumbnails.values()}
    complaints: list[str] = []
    for id, (path, width) in promised.thumbnails.items():
        if complaint := _complaint(directory / f"{id}.jpg", path, width, essences):
            complaints.append(f"{path.name} at {width}: {complaint}")
    return complaints


def _complaint(thumbnail: Path, photograph: Path, width: int, essences: dict[Path, Image.Image]) -> str:
    if not thumbnail.exists():
        return "missing"
    with Image.open(thumbnail) as small:
        if small.width != width:
            return f"it is {small.width} wide"
    essence = _essence(thumbnail)
    nearest = min(essences, key=lambda path: _difference(essence, essences[path]))
    return "" if nearest == photograph else f"it shows {nearest.name}"


def _difference(one: Image.Image, other: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def _essence(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return ImageOps.exif_transpose(picture).convert("RGB").resize((16, 16), Image.Resampling.BOX)


def arrived(maildir: Path) -> Counter[str]:
    """How often each mail arrived, by the id in its Message-ID."""
    mails = mailbox.Maildir(maildir, create=False)
    return Counter(str(mail["Message-ID"]).strip("<>").partition("@")[0] for mail in mails)


def contact_sheet(promised: Promised, directory: Path, target: Path) -> None:
    """All thumbnails on one picture: of each photograph the widest, and below it the others."""
    by_photograph: dict[Path, list[tuple[int, str]]] = {}
    for id, (path, width) in promised.thumbnails.items():
        by_photograph.setdefault(path, []).append((width, id))
    widest, second, *_ = sorted({width for _, width in promised.thumbnails.values()}, reverse=True)
    cell = (widest + 4 * GAP, widest + second + LABEL + 6 * GAP)
    rows = -(-len(by_photograph) // COLUMNS)
    sheet = Image.new("RGB", (cell[0] * COLUMNS, cell[1] * rows), "white")
    for position, (path, ids) in enumerate(sorted(by_photograph.items())):
        corner = (position % COLUMNS * cell[0] + 2 * GAP, position // COLUMNS * cell[1] + 2 * GAP)
        _paste_photograph(sheet, corner, path.stem, [directory / f"{id}.jpg" for _, id in sorted(ids, reverse=True)])
    sheet.save(target)


def _paste_photograph(sheet: Image.Image, corner: tuple[int, int], title: str, thumbnails: list[Path]) -> None:
    left, top = corner
    ImageDraw.Draw(sheet).text((left, top), title, fill="black", font=ImageFont.load_default(14))
    top += LABEL
    with Image.open(thumbnails[0]) as first:
        sheet.paste(first, (left, top))
        top += first.height + GAP
    for path in thumbnails[1:]:
        with Image.open(path) as small:
            sheet.paste(small, (left, top))
            left += small.width + GAP
