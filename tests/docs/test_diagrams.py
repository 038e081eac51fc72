"""Every diagram is one that Mermaid's own parser accepts."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PARSER: Final = ROOT / "build" / "mermaid" / "node_modules"
"""Where `make checkers` installs it."""
PAGES: Final = (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
DIAGRAM: Final = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
needs_parser = pytest.mark.skipif(
    not PARSER.is_dir(), reason="Mermaid's parser is not installed: make checkers (needs npm)"
)


def diagrams() -> list[tuple[str, str]]:
    """Return every diagram with its place."""
    return [
        (f"{page.relative_to(ROOT)}, diagram {number}", text)
        for page in PAGES
        for number, text in enumerate(DIAGRAM.findall(page.read_text(encoding="utf-8")), 1)
    ]


def judge(found: list[tuple[str, str]]) -> subprocess.CompletedProcess[str]:
    node = shutil.which("node") or ""
    command = [node, str(Path(__file__).with_name("mermaid.mjs")), str(PARSER.parent)]
    return subprocess.run(command, input=json.dumps(found), capture_output=True, text=True, check=False)


@needs_parser
def test_every_diagram_is_accepted() -> None:
    found = diagrams()
    assert len(found) >= 7
    judged = judge(found)
    assert (judged.returncode, judged.stderr) == (0, "")
    assert len(judged.stdout.splitlines()) == len(found)


@needs_parser
def test_a_wrong_diagram_is_not() -> None:
    judged = judge([("here", "flowchart LR\n a --> \n -> b[")])
    assert judged.returncode == 1
    assert judged.stderr.startswith("here: ")
