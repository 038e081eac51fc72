# ruff: noqa: INP001 - a script, no package
"""Records the README's animation of the live page: python tools/animation/record.py, after make page (needs Chromium).

Runs the scenario `storm` at full speed, replays it in a headless browser, and writes docs/pictures/live-page.webp from
its pictures: 960 pixels wide, below 1.5 MB.
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
TAKEN_EVERY_MS: Final = 500
SHOWN_FOR_MS: Final = 250
WIDTH: Final = 960
MOST_BYTES: Final = 1_500_000
FIRST_TICK: Final = 41
"""Some ticks before the storm begins."""
RUN: Final = (
    "run", "storm", "--fast", "--console", "--no-browser", "--port", "0", "--stay", "0", "--ticks", "90", "--no-report",
    "--set", "battery.count=3", "start=2025-06-02T10:00:00",
)  # fmt: skip


def main() -> int:
    """Run, replay, assemble and write the animation; return 1 if it is too large."""
    with tempfile.TemporaryDirectory() as folder:
        gridfleet = [sys.executable, "-m", "gridfleet"]
        results = f"{folder}/run"
        subprocess.run([*gridfleet, *RUN, "--out", results], check=True)
        replay = [*gridfleet, "replay", results, "--no-browser", "--port", "0", "--stay", "600"]
        with subprocess.Popen(replay, stdout=subprocess.PIPE, text=True) as page:
            try:
                take(f"{console(page)}#t={FIRST_TICK}", Path(folder))
            finally:
                page.send_signal(signal.SIGINT)
        assemble(sorted(Path(folder).glob("*.png")))
    size = RESULT.stat().st_size
    print(f"{RESULT.relative_to(ROOT)}: {size} bytes")  # noqa: T201 - a tool prints its result
    return int(size > MOST_BYTES)


def console(page: subprocess.Popen[str]) -> str:
    """Return the address of the live page, which the replay prints."""
    for line in page.stdout or ():
        if found := re.search(r"http://\S+", line):
            return found[0]
    raise SystemExit("the replay has ended without a live page")


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
