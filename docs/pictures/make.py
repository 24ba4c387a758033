"""The pictures of terminals in the documentation: real programs in a real tmux, as SVG. `make pictures` runs it.

It needs tmux (Debian: apt-get install tmux). Fonts are those of the reader: nothing is loaded from other sites.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

HERE = Path(__file__).parent
PATIENCE = 30.0  # seconds
THEME = TerminalTheme(
    (17, 24, 32), (208, 214, 220),
    [(17, 24, 32), (240, 98, 98), (104, 200, 120), (232, 190, 88),
     (96, 160, 240), (200, 130, 230), (64, 190, 190), (208, 214, 220)],
)  # fmt: skip
# rich's own frame of a window, without the fonts that it loads from elsewhere.
FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
  <style>
    .{unique_id}-matrix {{
      font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, "Liberation Mono", monospace;
      font-size: {char_height}px; line-height: {line_height}px; white-space: pre;
    }}
    .{unique_id}-title {{ font-size: 18px; font-family: system-ui, sans-serif; }}
    {styles}
  </style>
  <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="100%"/>
    </clipPath>
    {lines}
  </defs>
  {chrome}
  <g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">{matrix}</g>
  </g>
</svg>
"""


class Terminal:
    """A shell in a tmux of its own."""

    def __init__(self, directory: Path, columns: int, lines: int) -> None:
        self._name = f"aspool-pictures-{os.getpid()}"
        shell = "bash --norc --noprofile"
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(lines), "-c", str(directory), shell
        )
        self._columns = columns
        self._directory = str(directory)
        self.type("PS1='$ '; clear")
        self.wait(lambda text: text.strip() == "$")

    def _tmux(self, *arguments: str) -> str:
        return subprocess.run(["tmux", "-L", self._name, *arguments], capture_output=True, text=True, check=True).stdout

    def type(self, command: str) -> None:
        """A line, and Enter."""
        self._tmux("send-keys", "-l", command)
        self._tmux("send-keys", "Enter")

    def press(self, key: str) -> None:
        """One key, by tmux's name."""
        self._tmux("send-keys", key)

    def wait(self, is_there: Callable[[str], object]) -> None:
        """Until the screen shows it."""
        deadline = time.monotonic() + PATIENCE
        while not is_there(text := self._tmux("capture-pane", "-p")):
            if time.monotonic() > deadline:
                sys.exit(f"the terminal never showed what the picture is of, but:\n{text}")
            time.sleep(0.05)

    def picture(self, name: str, title: str) -> None:
        """Write the screen as it is."""
        lines = self._tmux("capture-pane", "-e", "-p", "-N").rstrip("\n").split("\n")
        console = Console(width=self._columns, record=True, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115 - as long as the program
        for line in lines:
            shown = line.replace(self._directory, "/srv/shop")
            console.print(Text.from_ansi(shown), overflow="crop", no_wrap=True)
        svg = console.export_svg(title=title, theme=THEME, code_format=FRAME, unique_id=f"t-{name}")
        (HERE / f"{name}.svg").write_text(re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE))
        print(f"docs/pictures/{name}.svg")

    def close(self) -> None:
        """End it, and what runs in it."""
        self._tmux("kill-server")


@contextmanager
def shop() -> Iterator[Path]:
    """A directory with the application, and a worker that runs it."""
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary, "shop")
        home.mkdir()
        shutil.copy(HERE / "shop.py", home / "shop.py")
        worker = subprocess.Popen(
            ["aspool", "worker", "shop", "--grace", "0"], cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for_boards(home / "spool", home / "mail")
            yield home
        finally:
            worker.terminate()
            worker.wait()


def _wait_for_boards(*spools: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not all(any(Path(spool, ".aspool", "workers").glob("*")) for spool in spools):
        if time.monotonic() > deadline:
            sys.exit("the worker does not begin: see `aspool worker shop` in docs/pictures")
        time.sleep(0.05)


@contextmanager
def terminal(home: Path, columns: int, lines: int) -> Iterator[Terminal]:
    """A terminal whose shell is in the application's directory."""
    opened = Terminal(home, columns, lines)
    try:
        yield opened
    finally:
        opened.close()


def sent(home: Path, *words: str) -> str:
    """Spool a call; its id."""
    command = ["aspool", "send", "shop", *words]
    return subprocess.run(command, cwd=home, capture_output=True, text=True, check=True).stdout.strip()


def draw_top() -> None:
    """Two spools: jobs with and without bars, waiting mails, one of which is paused."""
    with shop() as home, terminal(home, 100, 28) as screen:
        subprocess.run(["aspool", "pause", "charge_card", "--app", "shop"], cwd=home, check=True, capture_output=True)
        sent(home, "sync_stock")
        sent(home, "import_prices")
        sent(home, "shrink_photos", "count=120")
        sent(home, "render_invoice", "pages=90")
        for order in range(3):
            sent(home, "charge_card", f"order={order}")
        sent(home, "send_mail", "to=later@example.org", "--in", "1h")
        screen.type("aspool top shop")
        for number in range(12):
            sent(home, "send_mail", f"to=customer{number}@example.org")
        screen.wait(lambda text: "shrink_photos" in text and "render_invoice" in text and "send_mail" in text)
        screen.picture("top", "aspool top shop")
        screen.press("q")


def draw_watch() -> None:
    """Several messages: two run, one waits for its next attempt or is dead, one has ended."""
    with shop() as home, terminal(home, 100, 9) as screen:
        ids = [
            sent(home, "charge_card", "order=3"), sent(home, "send_mail", "to=a@example.org", "--in", "3s"),
            sent(home, "import_prices"), sent(home, "shrink_photos", "count=80"),
            sent(home, "send_mail", "to=b@example.org", "--in", "1h"),
        ]  # fmt: skip
        screen.type(f"aspool watch --app shop {' '.join(id[-8:] for id in ids)}")
        screen.wait(lambda text: "dead" in text and "done" in text and " left" in text)
        screen.wait(lambda text: re.search(r"(\d\d) of 80", text))
        screen.picture("watch", "aspool watch")
        screen.press("C-c")


def draw_send() -> None:
    """The bar, and then the result."""
    with shop() as home, terminal(home, 100, 9) as screen:
        screen.type("aspool send shop import_prices rows=100 --wait")
        screen.wait(lambda text: '"changed"' in text and text.rstrip().endswith("$"))
        screen.type("aspool send shop import_prices rows=300 --wait")
        screen.wait(lambda text: re.search(r"1\d\d of 300", text))
        screen.picture("send-wait", "aspool send --wait")
        screen.press("C-c")


def main() -> None:
    """Draw all of them."""
    if shutil.which("tmux") is None:
        sys.exit("the pictures are of a real terminal: install tmux (Debian: apt-get install tmux)")
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for key in [key for key in os.environ if key.startswith("ASPOOL_")]:
        del os.environ[key]
    draw_top()
    draw_watch()
    draw_send()


if __name__ == "__main__":
    main()
