# ruff: noqa: INP001 - a script, no package
"""Records the README's animation of the live page: python tools/animation/record.py, after make page (needs Chromium).

Runs the scenario `storm` at 1.5 s per tick beside a headless browser, and writes docs/pictures/live-page.webp from its
pictures: 960 pixels wide, below 1.5 MB.
"""

import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image

ROOT: Final = Path(__file__).resolve().parents[2]
RESULT: Final = ROOT / "docs" / "pictures" / "live-page.webp"
FRAMES: Final = 40
TAKEN_EVERY_MS: Final = 750
SHOWN_FOR_MS: Final = 250
WIDTH: Final = 960
MOST_BYTES: Final = 1_500_000
RUN: Final = (
    "run", "storm", "--console", "--seconds-per-tick", "1.5", "--ticks", "60", "--no-report",
    "--set", "battery.count=3", "start=2025-06-02T10:00:00",
)  # fmt: skip


def main() -> int:
    """Record, assemble and write the animation; return 1 if it is too large."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "gridfleet", *RUN, "--out", f"{folder}/run"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
            try:
                take(console(run), Path(folder))
            finally:
                run.send_signal(signal.SIGINT)
        assemble(sorted(Path(folder).glob("*.png")))
    size = RESULT.stat().st_size
    print(f"{RESULT.relative_to(ROOT)}: {size} bytes")  # noqa: T201 - a tool prints its result
    return int(size > MOST_BYTES)


def console(run: subprocess.Popen[str]) -> str:
    """Return the address of the live page, which the run prints."""
    for line in run.stdout or ():
        if found := re.search(r"http://\S+", line):
            return found[0]
    raise SystemExit("the run has ended without a live page")


def take(url: str, folder: Path) -> None:
    """Have the browser take the pictures."""
    script = str(Path(__file__).with_name("frames.mjs"))
    subprocess.run(["node", script, url, str(folder), str(FRAMES), str(TAKEN_EVERY_MS)], check=True)  # noqa: S607


def assemble(pictures: list[Path]) -> None:
    """Write the pictures as one animation."""
    frames = []
    for path in pictures:
        with Image.open(path) as picture:
            height = round(picture.height * WIDTH / picture.width)
            frames.append(picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS))
    first, *rest = frames
    first.save(
        RESULT,
        save_all=True,
        append_images=rest,
        duration=SHOWN_FOR_MS,
        loop=0,
        quality=50,
        method=6,
    )


if __name__ == "__main__":
    sys.exit(main())
