"""Figures as files and as parts of a page: PNG without dates, SVG whose colours follow the page."""

import io
import re
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from dashboards.style import PNG_DPI, TONES

_HEAD: Final = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_META: Final = re.compile(r"\s*<metadata>.*?</metadata>|\s*<style type=\"text/css\">.*?</style>", re.DOTALL)
_SIZE: Final = re.compile(r'<svg ([^>]*?)width="[\d.]+pt" height="[\d.]+pt"')
_IDS: Final = re.compile(r'( id="|"#|url\(#)')
_FONT: Final = re.compile(r"font: (?:(\d+) )?([\d.]+)px [^;\"]+")


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure with its title as PNG; the same figure gives the same bytes."""
    figure.savefig(path, format="png", dpi=PNG_DPI, metadata={"Software": None})


def inline_svg(figure: Figure, name: str, title: str) -> str:
    """Return a figure as SVG for a page, without its title (the page has it) and with ids of its own."""
    heading = figure._suptitle  # type: ignore[attr-defined]  # noqa: SLF001  no public way to the object
    if heading is not None:
        heading.set_visible(False)
        heading.set_in_layout(False)
    buffer = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = _META.sub("", _HEAD.sub("", buffer.getvalue()))
    text = _SIZE.sub(rf'<svg role="img" aria-label="{title}" \1', text, count=1)
    text = _IDS.sub(rf"\1{name}-", text)
    text = _FONT.sub(
        lambda found: f"font-size: {found[2]}px" + (f"; font-weight: {found[1]}" if found[1] else ""), text
    )
    for token, tone in TONES.items():
        text = text.replace(tone.light, f"var(--{token})")
    return re.sub(r"\n\s*", "\n", text)
